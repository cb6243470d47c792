/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a backend is to gatefuse.h: a versioned table of functions. The CPU backend is linked in;
 * another one is a shared library of its own that exports one symbol, gatefuse_backend_table.
 *
 * The functions are those of gatefuse.h after its checks of handles, with the backend's own ones.
 * None throws; each that can fail writes one sentence into *message.
 */
#ifndef GATEFUSE_BACKEND_H
#define GATEFUSE_BACKEND_H

#include "gatefuse.h"

#ifdef __cplusplus
extern "C" {
#endif

#define GF_BACKEND_TABLE_VERSION 4

typedef struct gf_message {
  char text[512]; /* zero-terminated */
} gf_message;

typedef struct gf_backend_table {
  int32_t version; /* GF_BACKEND_TABLE_VERSION */
  int32_t backend; /* GF_BACKEND_* */

  /* Lines "key=value" into text [capacity], zero-terminated, cut where too long. */
  void (*describe)(char* text, int64_t capacity);
  int32_t (*device_count)(void);
  gf_status (*host_allocate)(int64_t bytes, void** out, gf_message* message);
  void (*host_free)(void* memory);
  gf_status (*device_allocate)(int32_t device, int64_t bytes, void** out, gf_message* message);
  void (*device_free)(void* memory);
  gf_status (*device_copy)(const gf_copy* copy, gf_message* message);

  gf_status (*model_create)(const gf_spec* spec, const gf_model_options* options, void** model,
                            gf_message* message);
  gf_status (*model_set_tensor)(void* model, int32_t index, const float* data, int64_t count,
                                gf_message* message);
  gf_status (*model_update)(void* model, const float* parameters, int64_t count,
                            gf_message* message);
  int64_t (*model_bytes)(const void* model);
  void (*model_destroy)(void* model);

  gf_status (*session_create)(void* model, const gf_session_options* options, void** session,
                              gf_message* message);
  gf_status (*session_bytes_needed)(void* model, const gf_session_options* options, int64_t* bytes,
                                    gf_message* message);
  int64_t (*session_bytes)(const void* session);
  void (*session_path)(const void* session, char* text, int64_t capacity);
  void (*session_destroy)(void* session);

  gf_status (*forward)(void* session, const gf_io* io, gf_message* message);
  gf_status (*backward)(void* session, const gf_gradients* gradients, gf_message* message);
  gf_status (*session_synchronize)(void* session, gf_message* message);
} gf_backend_table;

/* The one symbol of a backend library: gatefuse_backend_table(GF_BACKEND_TABLE_VERSION) gives its
   table, or null and a sentence where it does not run here or does not know that version. */
typedef const gf_backend_table* (*gf_backend_entry)(int32_t version, gf_message* message);

#ifdef __cplusplus
}
#endif

#endif /* GATEFUSE_BACKEND_H */
