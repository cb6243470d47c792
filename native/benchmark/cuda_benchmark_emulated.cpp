// SPDX-License-Identifier: Apache-2.0
extern "C" int cuda_benchmark_main(int count, char** words, const char* library);

int main(int count, char** words) { return cuda_benchmark_main(count, words, CUDA_LIBRARY); }
