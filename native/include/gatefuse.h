/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GateFuse: gated recurrent networks over whole sequences, in one call.
 *
 * This header is the whole boundary: plain C, opaque handles, a status per call.
 *
 * Life of a network:   gf_model_create -> gf_model_set_tensor (each tensor once)
 *                      -> gf_session_create -> gf_forward, many times.
 * In training:         gf_forward -> gf_backward -> gf_model_update, many times.
 *
 * A model holds packed weights. Once its first session exists only gf_model_update changes it, and
 * any number of threads may share it. A session holds a workspace for a largest number of steps and
 * of rows; one thread at a time may use it. After a session exists, gf_forward and gf_backward
 * allocate nothing.
 *
 * Errors: every gf_status other than GF_OK leaves a sentence in gf_last_error() of the calling
 * thread, and leaves outputs unspecified but all handles usable.
 *
 * Shapes: T steps, B sequences (rows of the batch), I inputs, H hidden units, L layers,
 * D directions (1 or 2), V rows of the embedding, O outputs of the head. Row-major, the last index
 * contiguous. "Slot" l * D + d is layer l, direction d (0 forward, 1 reverse).
 *
 * Compatibility: see the rule at gf_version.
 */
#ifndef GATEFUSE_H
#define GATEFUSE_H

#include <stdint.h>

#if defined(__GNUC__)
#define GF_API __attribute__((visibility("default")))
#else
#define GF_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Version --------------------------------------------------------------------------------- */

#define GF_VERSION_MAJOR 1
#define GF_VERSION_MINOR 4

/*
 * The version of this interface that the library was built with: major * 1000 + minor.
 *
 * The rule: a minor version may add functions, enumerators, and fields at the end of structs that
 * begin with struct_size; it changes nothing that exists. Anything else is a new major version.
 * A caller built with major.minor works with every library of the same major and at least that
 * minor. A struct smaller than the library's own is read as if its missing fields were zero.
 */
GF_API int32_t gf_version(void);

/* ---- Status ---------------------------------------------------------------------------------- */

typedef int32_t gf_status;
enum {
  GF_OK = 0,
  GF_INVALID_ARGUMENT = 1,    /* a shape, size, pointer or enumerator is wrong */
  GF_INVALID_STATE = 2,       /* too early or too late, such as a tensor after a session */
  GF_OUT_OF_MEMORY = 3,       /* host or device memory could not be had */
  GF_BACKEND_UNAVAILABLE = 4, /* the backend or instruction set does not run on this machine */
  GF_BACKEND_FAILED = 5,      /* the backend reported an error; the process may go on */
  GF_CONTEXT_LOST = 6,        /* a device error that only a new process recovers from */
  GF_INTERNAL = 7             /* a defect of this library */
};

/*
 * The sentence that belongs to the last failed call of this thread, "" if none. Never null.
 * Owned by the library, valid until the thread's next call of a gf_ function.
 */
GF_API const char* gf_last_error(void);

/* ---- Backends -------------------------------------------------------------------------------- */

enum { GF_BACKEND_CPU = 1, GF_BACKEND_CUDA = 2 };

/* Bits of gf_cpu_instruction_sets and values of gf_model_options.instruction_set. */
enum {
  GF_ISA_AUTO = 0,     /* the widest that this processor runs */
  GF_ISA_GENERIC = 1,  /* plain C++, on processors other than x86-64 */
  GF_ISA_BASELINE = 2, /* any x86-64 (SSE2) */
  GF_ISA_AVX2 = 4,     /* AVX2 and FMA */
  GF_ISA_AVX512 = 8    /* AVX-512 F, DQ, BW and VL */
};

/* The instruction sets that this build holds and this processor runs: a sum of GF_ISA_ bits. */
GF_API int32_t gf_cpu_instruction_sets(void);

/*
 * Loads a further backend from a shared library that exports gatefuse_backend_table.
 * path: absolute, UTF-8, not null. Loading the same backend twice keeps the first.
 * GF_BACKEND_UNAVAILABLE says why it does not run here. Thread-safe.
 */
GF_API gf_status gf_backend_load(const char* path);

/*
 * Writes what is known of a backend as lines "key=value" ("available=1", "device=...",
 * "reason=..."), zero-terminated, at most capacity bytes with the zero; longer text is cut.
 * backend: GF_BACKEND_*. text: [capacity], host, not null. Thread-safe.
 */
GF_API gf_status gf_backend_describe(int32_t backend, char* text, int64_t capacity);

/*
 * Writes how many devices a backend can use to *count; 1 for the CPU, 0 for one that does not run
 * here. backend: GF_BACKEND_*. count: not null. Thread-safe. Since 1.1.
 */
GF_API gf_status gf_device_count(int32_t backend, int32_t* count);

/*
 * Host memory that a backend's device reads and writes at full speed and without waiting for a copy
 * (page-locked for CUDA; plain memory for the CPU). bytes: >= 1. out: not null; receives zeroed
 * memory aligned to 64 bytes, which the caller owns and ends with gf_host_free of the same backend.
 * Thread-safe. Since 1.1.
 */
GF_API gf_status gf_host_allocate(int32_t backend, int64_t bytes, void** out);

/* Ends memory of gf_host_allocate. null is allowed and does nothing. Since 1.1. */
GF_API void gf_host_free(int32_t backend, void* memory);

/*
 * Memory of a device, for callers who have no runtime of their own for it. backend:
 * GF_BACKEND_CUDA; the CPU has no memory but the host's. device: 0 .. gf_device_count - 1. bytes:
 * >= 1. out: not null; receives zeroed memory aligned to 256 bytes, which the caller owns and ends
 * with gf_device_free of the same backend. Thread-safe. Since 1.4.
 */
GF_API gf_status gf_device_allocate(int32_t backend, int32_t device, int64_t bytes, void** out);

/* Ends memory of gf_device_allocate, which no call may use any more. null is allowed and does
   nothing. Since 1.4. */
GF_API void gf_device_free(int32_t backend, void* memory);

/* A copy of values of 4 bytes, in pieces that lie apart: value v of piece (i, j) is that at
   i * outer stride + j * inner stride + v, of strides in values, which may be 0 or negative. */
typedef struct gf_copy {
  uint32_t struct_size; /* sizeof(gf_copy) */
  int32_t device;       /* 0 .. gf_device_count - 1 */
  void* to;             /* not null; memory of the device, or of the host */
  const void* from;     /* the same */
  int64_t values;       /* of a piece, >= 1 */
  int64_t inner;        /* pieces (i, 0 .. inner - 1), >= 1 */
  int64_t outer;        /* pieces (0 .. outer - 1, j), >= 1 */
  int64_t to_inner;     /* strides */
  int64_t to_outer;
  int64_t from_inner;
  int64_t from_outer;
  void* stream;       /* as in gf_io; null: the device's default stream */
  int32_t completion; /* GF_ON_RETURN or GF_ON_STREAM, where host memory must be page-locked */
  int32_t reserved;   /* 0 */
} gf_copy;

/*
 * Copies between host memory and memory of a device, either way, or within one of them. Pieces that
 * are written must overlap nothing. On its stream the copy is in its place; with other streams,
 * such as those of sessions, it is not ordered, so that calls which use the memory have to be
 * complete. backend: as in gf_device_allocate. copy: not null. Thread-safe. Since 1.4.
 */
GF_API gf_status gf_device_copy(int32_t backend, const gf_copy* copy);

/* ---- Network --------------------------------------------------------------------------------- */

/* The cells, by the names and row blocks of their parameters (a trailing / : H / chunk rows). */
enum {
  GF_LSTM = 0,                   /* input, forget, candidate, output */
  GF_LSTM_TIED = 1,              /* forget, candidate, output */
  GF_LSTM_REFINE = 2,            /* refine, forget, candidate, output */
  GF_LSTM_CUMAX = 3,             /* forget/, candidate, output */
  GF_LSTM_CUMAX_REFINE = 4,      /* refine, forget/, candidate, output */
  GF_ONLSTM = 5,                 /* the LSTM's, then master_input/, master_forget/ */
  GF_GRU = 6,                    /* reset, update, candidate */
  GF_GRU_REFINE = 7,             /* reset, update, candidate, refine */
  GF_GRU_RESET_BEFORE = 8,       /* reset, update, candidate */
  GF_GRU_REFINE_RESET_BEFORE = 9 /* reset, update, candidate, refine */
};

/* A network: L stacked layers of one cell, maybe after an embedding, maybe before a linear head. */
typedef struct gf_spec {
  uint32_t struct_size; /* sizeof(gf_spec) */
  int32_t cell;         /* GF_LSTM .. */
  int32_t input_size;   /* I >= 1 */
  int32_t hidden_size;  /* H >= 1 */
  int32_t layers;       /* L >= 1 */
  int32_t directions;   /* D, 1 or 2 */
  int32_t chunk;        /* >= 1, divides H; 1 for cells without a / block */
  int32_t vocabulary;   /* V >= 1: the input is tokens, rows of an embedding [V, I]; 0: it is x */
  int32_t outputs;      /* O >= 1: a linear head [O, D*H] with bias [O]; 0: none */
} gf_spec;

/*
 * The tensors of a network, in this order:
 *   for each layer l, for each direction d:
 *     weight_ih [rows, I or D*H], weight_hh [rows, H], bias_ih [rows], bias_hh [rows]
 *   then, where V > 0, embedding.weight [V, I]
 *   then, where O > 0, head.weight [O, D*H], head.bias [O]
 * rows is the sum of the cell's blocks. Names are PyTorch's.
 */

/* Writes the number of tensors to *count and checks the spec. Both: not null. Thread-safe. */
GF_API gf_status gf_tensor_count(const gf_spec* spec, int32_t* count);

/*
 * Writes the shape of one tensor: *rows and *columns (1 for a bias).
 * spec, rows, columns: host, not null. index: 0 .. count - 1. Thread-safe.
 */
GF_API gf_status gf_tensor_shape(const gf_spec* spec, int32_t index, int64_t* rows,
                                 int64_t* columns);

/* ---- Model ----------------------------------------------------------------------------------- */

typedef struct gf_model gf_model;

/*
 * What the operands of matrix products (weights, inputs and hidden states) are rounded to. Sums,
 * biases, pointwise mathematics, cell states and hidden states as they are carried and given out
 * are float32 in each. The CPU backend has GF_FLOAT32, GF_BFLOAT16 and GF_INT8, and goes back in
 * GF_FLOAT32 only; the CUDA backend has all but GF_INT8.
 *
 * GF_INT8: whole numbers from -127 to 127 times a scale, such that the largest magnitude is 127
 * (ties to even). Weights have a scale for each output, set with the tensor. An input or a hidden
 * state has one for itself, found whenever a product reads it. Sums of products are exact. Vectors
 * whose magnitudes are all below 2^-100 are read as zeros. For input_size and directions *
 * hidden_size up to 131072. Since 1.2.
 */
enum {
  GF_FLOAT32 = 0,  /* float32: nothing is rounded */
  GF_TF32 = 1,     /* 10 bits of fraction, exponent of float32 (round to nearest, ties away) */
  GF_BFLOAT16 = 2, /* 7 bits of fraction, exponent of float32 (ties to even) */
  GF_FLOAT16 = 3,  /* IEEE binary16 (ties to even): weights beyond 65504 become infinite */
  GF_INT8 = 4      /* 8 bits and a scale */
};

typedef struct gf_model_options {
  uint32_t struct_size;    /* sizeof(gf_model_options) */
  int32_t backend;         /* GF_BACKEND_*; 0: GF_BACKEND_CPU */
  int32_t instruction_set; /* GF_ISA_*, of the CPU backend */
  int32_t precision;       /* since 1.1: GF_FLOAT32 .. GF_INT8 */
  int32_t device;          /* since 1.1: 0 .. gf_device_count - 1 */
} gf_model_options;

/*
 * Creates a model whose biases are zero and whose other tensors are yet to be set.
 * spec: host, not null. options: host, may be null (CPU, widest instruction set).
 * out: host, not null; receives a handle that the caller owns and ends with gf_model_destroy.
 */
GF_API gf_status gf_model_create(const gf_spec* spec, const gf_model_options* options,
                                 gf_model** out);

/*
 * Packs one tensor into the model. index: as listed above. data: [count] float32, host, not null,
 * read before the call returns. count: must be rows * columns of that tensor.
 * GF_INVALID_STATE once a session exists. One thread at a time.
 */
GF_API gf_status gf_model_set_tensor(gf_model* model, int32_t index, const float* data,
                                     int64_t count);

/*
 * Replaces the values of all tensors, also after sessions exist, as training does at every step.
 * parameters: [count] float32, host, not null, read before the call returns: the tensors one after
 * another in the order of the list above, each row-major. count: must be the sum of their sizes.
 * One thread at a time, and no call of a session of this model may run meanwhile: the caller sees
 * to that. A gf_backward after it still needs a new gf_forward. Since 1.2.
 */
GF_API gf_status gf_model_update(gf_model* model, const float* parameters, int64_t count);

/* Bytes that the model's packed weights hold. model: not null. */
GF_API int64_t gf_model_bytes(const gf_model* model);

/* Ends a model. Its sessions must have ended before. null is allowed and does nothing. */
GF_API void gf_model_destroy(gf_model* model);

/* ---- Session --------------------------------------------------------------------------------- */

typedef struct gf_session gf_session;

/* How the CUDA backend gets h of one step to all units of the next. All give results within the
   same contract; the bits of two tiers may differ. */
enum {
  GF_TIER_AUTO = 0,        /* the fastest that fits the network and the device */
  GF_TIER_ALTERNATING = 1, /* a product and a pointwise kernel for each step: any size */
  GF_TIER_SLICE = 2,       /* one block for each slice of the batch: small H */
  GF_TIER_CLUSTER = 3, /* a cluster of blocks for each slice: compute capability 9.0 and later */
  GF_TIER_GRID = 4     /* the whole device for each slice */
};

/* Who multiplies the inputs of many steps with weights, and what the head takes in, on the CUDA
   backend. cuBLASLt sums in orders of its own: the promises about other batches and about sequences
   that are cut (see gf_forward) do not hold with it; gf_session_path says so. Since 1.2. */
enum {
  GF_PRODUCTS_OWN = 0,     /* this library */
  GF_PRODUCTS_CUBLASLT = 1 /* NVIDIA's libcublasLt.so.13 or .12, searched for when a session asks
                              for it, where the dynamic linker looks or at the path in the
                              environment variable GATEFUSE_CUBLASLT. Where it is missing or lacks a
                              function: GF_BACKEND_UNAVAILABLE */
};

/* What gf_forward keeps in the session for gf_backward. The gradients have the same bits either
   way, but in CUDA's tiers slice, cluster and grid, where pre-activations that are computed again
   may differ in their last bits. */
enum {
  GF_BACKWARD_NONE = 0,     /* nothing: the session has no gf_backward */
  GF_BACKWARD_STORE = 1,    /* hidden states, cell states and pre-activations of all steps */
  GF_BACKWARD_RECOMPUTE = 2 /* hidden and cell states; pre-activations are computed again, by one
                               product for many steps: less memory, a little more time */
};

typedef struct gf_session_options {
  uint32_t struct_size; /* sizeof(gf_session_options) */
  int32_t max_steps;    /* largest T, >= 1 */
  int32_t max_batch;    /* largest B, >= 1 */
  int32_t threads;      /* most threads of the CPU backend, the caller's included; 0: as many as
                           the process may use (affinity mask and container limit) */
  int32_t tier;         /* since 1.1: GF_TIER_*, of the CUDA backend. One that does not fit is an
                           error that says why */
  int32_t products;     /* since 1.2: GF_PRODUCTS_*, of the CUDA backend */
  int32_t backward;     /* since 1.2: GF_BACKWARD_* */
  uint64_t seed;        /* since 1.2: of the draws for the rates that follow, 0 <= rate < 1 */
  double dropout;       /* since 1.2: of the results of all layers but the last */
  double zoneout_h;     /* since 1.2: of hidden states */
  double zoneout_c;     /* since 1.2: of cell states; 0 for cells without */
  double recurrent_dropout; /* since 1.2: of candidates */
} gf_session_options;

/*
 * The rates above are of three kinds of regularization. A call in training (gf_io.training) draws a
 * mask element by element, for each time, row and unit; any other call takes no chances.
 *
 * Dropout between layers with rate p, as torch.nn.LSTM(dropout=p) has it: what a layer gives to the
 * next one is 0 with probability p, else divided by 1 - p. Otherwise nothing happens. Neither the
 * layer's own states nor the last layer are touched.
 *
 * Zoneout with the rates z_h and z_c (Krueger et al., Zoneout: Regularizing RNNs by Randomly
 * Preserving Hidden Activations, ICLR 2017): of the states h~, c~ that the cell makes of h, c the
 * step leaves
 *   c' = m_c c + (1 - m_c) c~        h' = m_h h + (1 - m_h) h~
 * where m is 1 with probability z, else 0; h~ is made of c~. Otherwise z stands in place of m: so a
 * model that was trained with zoneout is to be run with its rates.
 *
 * Recurrent dropout with rate p (Semeniuta, Severyn, Barth, Recurrent Dropout without Memory Loss,
 * COLING 2016): the candidate u of a step, tanh of its pre-activation, is 0 with probability p,
 * else divided by 1 - p. Otherwise nothing happens.
 *
 * An element is dropped or zoned out where its random word is below the rate times 2^32, the
 * fraction cut off. With philox(counter; key) as Philox 4x32-10 (Salmon et al., SC 2011), low words
 * first, its word is number unit % 4 of
 *   philox(unit / 4, time, row, 0; key)
 * where key is the first two words of philox(draw (2 words), kind, slot; seed (2 words)). kind is 0
 * for dropout, 1 for zoneout of h, 2 of c, 3 for recurrent dropout; time counts from 0 in each
 * call, in the reverse direction too, and row is the caller's. So the masks are the same for every
 * backend, instruction set and number of threads, for both ways to keep what gf_backward needs, and
 * whatever the lengths are. But a sequence that is cut into calls is not drawn as it is in one.
 */

/*
 * Creates a session of a model all of whose weights are set (biases may be missing: zeros).
 * model, options, out: not null. The caller owns *out and ends it with gf_session_destroy before
 * the model. Thread-safe on one model.
 */
GF_API gf_status gf_session_create(gf_model* model, const gf_session_options* options,
                                   gf_session** out);

/*
 * Writes to *bytes how large the workspace of such a session would be, and allocates nothing of it.
 * model, options, bytes: not null. Thread-safe on one model. Since 1.2.
 */
GF_API gf_status gf_session_bytes_needed(gf_model* model, const gf_session_options* options,
                                         int64_t* bytes);

/* Bytes that the session's workspace holds. session: not null. */
GF_API int64_t gf_session_bytes(const gf_session* session);

/*
 * Writes how the session runs, as lines "key=value" (backend, device, instruction_set, precision,
 * threads, reason; of the CPU products, where it has an instruction for the precision, and what
 * depends on the sizes of a call; the rates that are not 0; of CUDA also tier and what belongs to
 * it), zero-terminated, at most capacity bytes; longer text is cut. text: [capacity], host, not
 * null.
 */
GF_API gf_status gf_session_path(const gf_session* session, char* text, int64_t capacity);

/* Ends a session. null is allowed and does nothing. */
GF_API void gf_session_destroy(gf_session* session);

/* ---- Forward --------------------------------------------------------------------------------- */

enum { GF_TIME_MAJOR = 0, GF_BATCH_MAJOR = 1 };

/* Where the buffers of a call lie. */
enum {
  GF_MEMORY_HOST = 0,  /* host memory: pageable, or page-locked (gf_host_allocate) */
  GF_MEMORY_DEVICE = 1 /* memory of the model's device */
};

/* When the outputs of a call are complete. */
enum {
  GF_ON_RETURN = 0, /* when the call returns */
  GF_ON_STREAM = 1  /* when the work that the call put on its stream is done; see gf_forward */
};

/*
 * One call's inputs and outputs. Shapes are for GF_TIME_MAJOR; for GF_BATCH_MAJOR the first two
 * indices T, B of x, tokens, targets, y, logits, log_probs and target_log_probs are B, T instead.
 * All pointers: memory of the kind that `memory` says, owned by the caller, naturally aligned, used
 * until the call is complete; nobody may change what they point to meanwhile. `lengths` and
 * `state_rows` are always host memory and are read before the call returns.
 * Inputs and outputs must not overlap, except that hn may be h0 and cn may be c0.
 *
 * Past a sequence's length inputs are not read, and outputs are 0. The final state is that of the
 * last valid step. The reverse direction starts at each sequence's own last step.
 *
 * With state_rows h0, c0, hn and cn are pools of states, [L*D, state_capacity, H] each: row b of
 * the batch begins with row state_rows[b] of the pools h0 and c0 and leaves its final state in that
 * row of hn and cn. So a batch is picked from any number of streams, in place where hn is h0; rows
 * that it does not name are neither read nor written. A row out of range or named twice is an
 * error that names it. On CUDA the pools may lie in device memory, in page-locked host memory,
 * whose rows the kernels read and write where they are, or, in calls that are complete on return,
 * in any host memory, whose rows the host copies. A captured graph keeps the rows of its capture.
 */
typedef struct gf_io {
  uint32_t struct_size;    /* sizeof(gf_io) */
  int32_t layout;          /* GF_TIME_MAJOR or GF_BATCH_MAJOR */
  int32_t steps;           /* T, 1 .. max_steps */
  int32_t batch;           /* B, 1 .. max_batch */
  const float* x;          /* [T, B, I]; not null where V = 0, else null */
  const int32_t* tokens;   /* [T, B], each 0 .. V-1; not null where V > 0, else null */
  const int32_t* lengths;  /* [B], each 1 .. T; null: all T */
  const float* h0;         /* [L*D, B, H]; null: zeros */
  const float* c0;         /* [L*D, B, H]; null: zeros; null for cells without a cell state */
  float* y;                /* [T, B, D*H], hidden states of the last layer; may be null */
  float* hn;               /* [L*D, B, H], final hidden state; may be null */
  float* cn;               /* [L*D, B, H], final cell state; may be null; null for cells without */
  const int32_t* targets;  /* [T, B], each 0 .. O-1; not null where target_log_probs is not null */
  float* logits;           /* [T, B, O], head.weight . y + head.bias; may be null; needs O > 0 */
  float* log_probs;        /* [T, B, O], log-softmax of the logits; may be null; needs O > 0 */
  float* target_log_probs; /* [T, B], log of the target's probability; may be null; needs O > 0 */
  void* stream;            /* CUDA stream (cudaStream_t) of the CUDA backend, null for the default
                              one of the session; null on the CPU */
  int32_t memory;          /* since 1.1: GF_MEMORY_HOST or, of the CUDA backend, GF_MEMORY_DEVICE */
  int32_t completion;      /* since 1.1: GF_ON_RETURN or, of the CUDA backend, GF_ON_STREAM */
  int32_t training;        /* since 1.2: 1: draws by the session's rates; 0: takes no chances */
  uint64_t draw;           /* since 1.2: in training, the number of the draw: another number gives
                              other masks, the same number the same ones. A captured graph
                              keeps the draw of its capture */
  const int32_t* state_rows; /* since 1.3: [B], each 0 .. state_capacity-1, no two the same; null:
                                row b of the states is that of the batch. In sessions of
                                GF_BACKWARD_NONE; of the CPU backend, since 1.4 also of CUDA */
  int64_t state_capacity;    /* since 1.3: rows of each slot of the pools, >= 1; read with
                                state_rows alone */
  int32_t state_memory;      /* since 1.4: where h0, c0, hn and cn lie: GF_MEMORY_HOST: where
                                `memory` says, or, of the CUDA backend, GF_MEMORY_DEVICE: in memory
                                of the model's device, whatever the other buffers are in */
  int32_t reserved;          /* since 1.4: 0 */
} gf_io;

/*
 * Runs T steps of all layers. session, io: not null. Allocates nothing.
 * On the CPU the outputs are complete on return.
 *
 * With GF_ON_STREAM (CUDA) the call puts its work on the stream and returns. The outputs are
 * complete, and the inputs no longer read, once the stream has come that far; what goes wrong in
 * the meantime is told by the next call of this session or by gf_session_synchronize. Tokens and
 * targets in device memory are not checked: one out of range is reported in the same way, and its
 * outputs are NaN. Host buffers must be page-locked. Calls of one session follow one another
 * whatever their streams are.
 *
 * Promises of one path (backend, instruction set, precision): the same bits from run to run, for
 * every number of threads; a sequence gives the same bits whatever else is in its batch, ragged or
 * alone; a sequence cut into calls with carried state gives the same bits as in one call
 * (one direction, nothing drawn).
 */
GF_API gf_status gf_forward(gf_session* session, const gf_io* io);

/*
 * Waits until all calls of the session are complete and tells what went wrong in them. session: not
 * null. On the CPU there is never anything to wait for. Since 1.1.
 */
GF_API gf_status gf_session_synchronize(gf_session* session);

/* ---- Backward -------------------------------------------------------------------------------- */

/*
 * The gradient of a loss by everything that the session's last gf_forward read, from its gradient
 * by what that call gave. T, B, layout, lengths and masks are that call's, and so are the kind of
 * memory (`memory` of gf_io, for the gradients by states too) and the stream; its x and tokens are
 * read again and must not have changed.
 *
 * Past a sequence's length the gradients given are not read, and those by the input are 0.
 * Pointers: owned by the caller, used until the call is complete. Outputs must not overlap
 * anything else, except that dh0 may be dhn and dc0 may be dcn.
 */
typedef struct gf_gradients {
  uint32_t struct_size; /* sizeof(gf_gradients) */
  int32_t accumulate;   /* 0: `parameters` is written; 1: the gradients are added to it */
  const float* dy;      /* [T, B, D*H], by y; null: zeros */
  const float* dhn;     /* [L*D, B, H], by hn; null: zeros */
  const float* dcn;     /* [L*D, B, H], by cn; null: zeros; null for cells without a cell state */
  const float* dlogits; /* [T, B, O], by the logits; null: zeros; needs O > 0 */
  float* dx;            /* [T, B, I], by x; may be null; null where V > 0 */
  float* dh0;           /* [L*D, B, H], by h0; may be null */
  float* dc0;           /* [L*D, B, H], by c0; may be null; null for cells without a cell state */
  float* parameters;    /* by all tensors, one after another as gf_model_update reads them; may be
                           null */
  int32_t completion;   /* GF_ON_RETURN or, of the CUDA backend, GF_ON_STREAM: as that of gf_io */
} gf_gradients;

/*
 * Runs the steps of the last gf_forward backwards (back-propagation through time). session,
 * gradients: not null. Allocates nothing. Gradients by pre-activations are operands of products and
 * rounded as such: in GF_FLOAT16 those beyond 65504 become infinite and those below 2^-25 zero, so
 * that a loss may have to be scaled. The same inputs give the same bits from run to run, with
 * any number of threads. It may be called again after the same gf_forward.
 *
 * GF_INVALID_STATE: the session keeps nothing (GF_BACKWARD_NONE), or its last gf_forward has failed
 * (but for one whose io was null or of another size) or there was none, or the model has been
 * updated since. Since 1.2.
 */
GF_API gf_status gf_backward(gf_session* session, const gf_gradients* gradients);

#ifdef __cplusplus
}
#endif

#endif /* GATEFUSE_H */
