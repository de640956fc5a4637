/* SPDX-License-Identifier: Apache-2.0 */

/* Swiftlet's interface for C and every language that calls C.
 *
 *   - Errors: functions return a status; on failure swiftlet_last_error() returns a one-line
 *     message. No argument may crash the process: null pointers, closed handles, wrong lengths,
 *     types and names return a status. The one exception is a buffer shorter than its stated
 *     length, which cannot be detected.
 *   - Ownership: each side frees what it allocated. Arguments stay the caller's; each function
 *     documents how long they must stay valid. A result belongs to a handle and is valid as long
 *     as documented there, or is a string to be released with swiftlet_string_free().
 *   - Out-parameters are set on success only; handles are set to NULL first.
 *   - Threads: every function may be called from any thread at any time. Any number of threads
 *     may use a session at once. A request serves one call at a time; a concurrent call returns
 *     SWIFTLET_BUSY.
 *   - fork: a fork waits until OpenBLAS has finished what it computes for us on other threads.
 *     The child may continue with the parent's handles, on one thread. If another thread of the
 *     parent was inside a call at that moment, every call in the child fails with
 *     SWIFTLET_INTERNAL.
 *   - OpenBLAS: after a call, its process-wide thread count has its previous value. During a
 *     call it is 1, or what the call asked for.
 *   - Matrices are row-major; a leading dimension is the distance, in elements, between the
 *     starts of consecutive rows. Images are N x C x H x W, weights O x I x H x W. Results must
 *     not share elements with arguments; their rows may lie between those of an argument.
 *   - `threads` is the number of threads a call may use: 0 for one per processor, at most
 *     SWIFTLET_MAX_THREADS.
 *
 * docs/c-api.md has examples. The ABI is versioned: see swiftlet_abi_version(). */
#ifndef SWIFTLET_H
#define SWIFTLET_H

#include <stddef.h>
#include <stdint.h>

#define SWIFTLET_VERSION "0.1.0"
/* Increases when a program built with an older header would no longer work. It is the number in the
 * library's file name, libswiftlet.so.N. */
#define SWIFTLET_ABI_VERSION 0

#define SWIFTLET_MAX_THREADS 1024

#ifdef __cplusplus
extern "C" {
#endif

/* The outcome of a call. The numbers match the exit codes of the command `swiftlet` where these
 * exist. */
typedef enum {
  SWIFTLET_OK = 0,
  /* A file, model, shape or value that cannot be used as given. */
  SWIFTLET_BAD_INPUT = 2,
  /* Well-formed input that requires an unsupported feature. */
  SWIFTLET_UNSUPPORTED = 3,
  /* A callback asked to stop. */
  SWIFTLET_CANCELLED = 4,
  /* The request is in use by another thread. */
  SWIFTLET_BUSY = 5,
  /* The call needs more memory than swiftlet_set_max_memory() allows, or than the machine has.
   * Nothing was computed. */
  SWIFTLET_OUT_OF_MEMORY = 6,
  /* A mistake of the calling program: a null pointer, a closed handle, a wrong length. */
  SWIFTLET_USAGE = 64,
  /* A defect of Swiftlet or of a library below it. */
  SWIFTLET_INTERNAL = 70
} swiftlet_status;

/* Element types, with the numbers of ONNX's TensorProto.DataType. Elements of bool and of types
 * below eight bits (int4 … float4) are copied; memory of all other types is used in place. bool
 * is one byte, zero or nonzero; types below eight bits are packed, the first element in the
 * lowest bits. */
typedef enum {
  SWIFTLET_UNKNOWN = 0,
  SWIFTLET_FLOAT32 = 1,
  SWIFTLET_UINT8 = 2,
  SWIFTLET_INT8 = 3,
  SWIFTLET_UINT16 = 4,
  SWIFTLET_INT16 = 5,
  SWIFTLET_INT32 = 6,
  SWIFTLET_INT64 = 7,
  SWIFTLET_BOOL = 9,
  SWIFTLET_FLOAT64 = 11,
  SWIFTLET_UINT32 = 12,
  SWIFTLET_UINT64 = 13,
  SWIFTLET_FLOAT8E4M3FN = 17,
  SWIFTLET_FLOAT8E4M3FNUZ = 18,
  SWIFTLET_FLOAT8E5M2 = 19,
  SWIFTLET_FLOAT8E5M2FNUZ = 20,
  SWIFTLET_UINT4 = 21,
  SWIFTLET_INT4 = 22,
  SWIFTLET_FLOAT4E2M1 = 23,
  SWIFTLET_UINT2 = 25,
  SWIFTLET_INT2 = 26
} swiftlet_dtype;

/* ---- Library ------------------------------------------------------------------------- */

/* The version of the loaded library, in the form of SWIFTLET_VERSION. Static. */
const char *swiftlet_version(void);

/* The SWIFTLET_ABI_VERSION of the loaded library. */
int32_t swiftlet_abi_version(void);

/* The message of the calling thread's last failed call: one line of UTF-8, WHAT (WHERE): HOW TO
 * FIX IT. Empty before the first failure. Valid until the thread's next failure. */
const char *swiftlet_last_error(void);

/* The name of a status: "ok", "bad input" and so on. Static. */
const char *swiftlet_status_name(swiftlet_status status);

/* Frees a string returned by a function. NULL is allowed. */
void swiftlet_string_free(char *string);

/* Sets the maximum number of bytes for the values of a run, the arrays of a file, or the results
 * and workspace of a linear algebra call. A call that would exceed it, or the machine's memory,
 * fails with SWIFTLET_OUT_OF_MEMORY (with SWIFTLET_BAD_INPUT if a file is larger, or claims to
 * be). The setting is process-wide; 0 restores the default: for models and files 8 GiB, or the
 * machine's memory if less; for linear algebra the available memory. */
swiftlet_status swiftlet_set_max_memory(uint64_t bytes);

/* Sets the maximum total number of steps in the subgraphs of a run (of If, Loop, Scan), because
 * an untrusted model could run forever. A run that exceeds it fails with SWIFTLET_BAD_INPUT. The
 * setting is process-wide; 0 restores the default (500000). */
swiftlet_status swiftlet_set_max_steps(uint64_t steps);

/* ---- Sessions ------------------------------------------------------------------------ */

/* A model that is ready to run. */
typedef struct swiftlet_session swiftlet_session;

/* A set of inputs bound by a caller, and the results of running a session on them. */
typedef struct swiftlet_request swiftlet_request;

/* The arithmetic of a session. */
typedef enum {
  SWIFTLET_FP32 = 0,
  /* Convolutions and matrix products with constant weights round both factors to bf16 and
   * accumulate in fp32; values between such layers are rounded too. Twice as fast if the
   * processor has bf16 instructions. Integer layers are computed as in fp32. */
  SWIFTLET_BF16 = 1
} swiftlet_precision;

/* Zero is the default of every setting:
 *     swiftlet_session_options options = {.struct_size = sizeof options}; */
typedef struct {
  /* sizeof(swiftlet_session_options), so that later versions can add settings. */
  size_t struct_size;
  int32_t threads;
  swiftlet_precision precision;
} swiftlet_session_options;

/* A model's input or output. */
typedef struct {
  /* UTF-8. Owned by the session, as are the dimensions: valid until the session is closed. */
  const char *name;
  /* SWIFTLET_UNKNOWN if the model does not specify it. */
  swiftlet_dtype dtype;
  size_t rank;
  /* `rank` extents, -1 for one that is only known at run time. NULL if rank is 0. */
  const int64_t *dimensions;
} swiftlet_value_info;

/* A result. */
typedef struct {
  /* Packed, row-major, aligned to 64 bytes. Owned by the request, as is the shape: valid until
   * its next run, or until it is closed. */
  const void *data;
  size_t byte_count;
  swiftlet_dtype dtype;
  size_t rank;
  /* `rank` extents. NULL if rank is 0. */
  const int64_t *shape;
} swiftlet_tensor;

/* Opens an ONNX file.
 *
 * `options` may be NULL. The session holds a copy of the model, so the file may change
 * afterwards. Close the session with swiftlet_session_close(). */
swiftlet_status swiftlet_session_open(const char *path, const swiftlet_session_options *options,
                                      swiftlet_session **session);

/* Opens a model from the bytes of an ONNX file, which are copied. Models with external data are
 * rejected. */
swiftlet_status swiftlet_session_open_memory(const void *bytes, size_t byte_count,
                                             const swiftlet_session_options *options,
                                             swiftlet_session **session);

/* Closes a session. Its requests remain usable. NULL is allowed. */
swiftlet_status swiftlet_session_close(swiftlet_session *session);

swiftlet_status swiftlet_session_input_count(swiftlet_session *session, size_t *count);
swiftlet_status swiftlet_session_output_count(swiftlet_session *session, size_t *count);

/* Describes the input or output at an index below the count. */
swiftlet_status swiftlet_session_input(swiftlet_session *session, size_t index,
                                       swiftlet_value_info *info);
swiftlet_status swiftlet_session_output(swiftlet_session *session, size_t index,
                                        swiftlet_value_info *info);

/* Creates a request; each thread that runs the session needs its own. Close it with
 * swiftlet_request_close(). */
swiftlet_status swiftlet_request_create(swiftlet_session *session, swiftlet_request **request);

/* Closes a request and frees its results. NULL is allowed. */
swiftlet_status swiftlet_request_close(swiftlet_request *request);

/* Binds memory to the input called `name`: `byte_count` bytes of packed row-major elements,
 * whose address is a multiple of the element size. `shape` has `rank` extents and may be NULL if
 * rank is 0.
 *
 * Nothing is copied: each swiftlet_request_run() reads the memory, which must stay valid and
 * unchanged during the run, and may be refilled between runs. It is never written. Binding a
 * name again replaces the previous binding; `data` NULL with `byte_count` above 0 is rejected. */
swiftlet_status swiftlet_request_bind(swiftlet_request *request, const char *name,
                                      swiftlet_dtype dtype, const int64_t *shape, size_t rank,
                                      const void *data, size_t byte_count);

/* Makes each run copy the result at an index below the output count to the caller's memory:
 * exactly `byte_count` bytes, in the layout of swiftlet_request_output(). The memory must be
 * valid during each run, and must not overlap with memory bound to an input. `data` NULL removes
 * the binding. */
swiftlet_status swiftlet_request_bind_output(swiftlet_request *request, size_t index, void *data,
                                             size_t byte_count);

/* Computes all outputs. The first run with new shapes compiles the model for them.
 *
 * Results of the previous run become invalid, even if this one fails. Returns
 * SWIFTLET_BAD_INPUT, with nothing copied, if the size of a result differs from that of the
 * memory bound by swiftlet_request_bind_output(). */
swiftlet_status swiftlet_request_run(swiftlet_request *request);

/* The result at an index below the output count. SWIFTLET_USAGE before the first run. */
swiftlet_status swiftlet_request_output(swiftlet_request *request, size_t index,
                                        swiftlet_tensor *tensor);

/* Runs the bound inputs `runs` times (at least once) on one thread and returns the median time
 * of each layer: a JSON array of {"layer", "kernel", "milliseconds", "gigaOperationsPerSecond"}.
 * Free it with swiftlet_string_free(). */
swiftlet_status swiftlet_request_profile(swiftlet_request *request, int32_t runs, char **json);

/* ---- Linear algebra ------------------------------------------------------------------ */

/* C = alpha op(A) op(B) + beta C, with C m x n, op(A) m x k and op(B) k x n. A nonzero flag
 * means that op transposes: A is then stored k x m, B n x k. With beta 0 the previous contents
 * of C are ignored. */
swiftlet_status swiftlet_gemm_f32(int32_t transpose_a, int32_t transpose_b, int64_t m, int64_t n,
                                  int64_t k, float alpha, const float *a, int64_t lda,
                                  const float *b, int64_t ldb, float beta, float *c, int64_t ldc,
                                  int32_t threads);
swiftlet_status swiftlet_gemm_f64(int32_t transpose_a, int32_t transpose_b, int64_t m, int64_t n,
                                  int64_t k, double alpha, const double *a, int64_t lda,
                                  const double *b, int64_t ldb, double beta, double *c, int64_t ldc,
                                  int32_t threads);

/* C = A B for unsigned by signed bytes, exact in int32 on every processor: A m x k, B k x n.
 * SWIFTLET_UNSUPPORTED if k exceeds 65793, where sums could overflow. */
swiftlet_status swiftlet_gemm_u8s8s32(int64_t m, int64_t n, int64_t k, const uint8_t *a,
                                      int64_t lda, const int8_t *b, int64_t ldb, int32_t *c,
                                      int64_t ldc, int32_t threads);

/* A = U diag(s) Vt for an m x n matrix, with r = min(m, n): U m x r with orthonormal columns, Vt
 * r x n with orthonormal rows, s r values in descending order. With `u` and `vt` both NULL, only
 * s is computed, in a fraction of the time. SWIFTLET_BAD_INPUT for NaN or infinite elements. */
swiftlet_status swiftlet_svd_f32(int64_t m, int64_t n, const float *a, int64_t lda, float *s,
                                 float *u, int64_t ldu, float *vt, int64_t ldvt, int32_t threads);
swiftlet_status swiftlet_svd_f64(int64_t m, int64_t n, const double *a, int64_t lda, double *s,
                                 double *u, int64_t ldu, double *vt, int64_t ldvt, int32_t threads);

/* Approximates the `rank` largest singular values and their vectors from random samples of the
 * range (Halko, Martinsson & Tropp 2011): U m x rank, s rank values, Vt rank x n. `oversampling`
 * additional samples (typically 10) and `power_iterations` (0 for rapidly decaying spectra, 2 or
 * more for flat ones) increase the accuracy. The same seed gives the same result. 1 <= rank <=
 * min(m, n). */
swiftlet_status swiftlet_randomized_svd_f32(int64_t m, int64_t n, const float *a, int64_t lda,
                                            int64_t rank, int64_t oversampling,
                                            int64_t power_iterations, uint64_t seed, float *s,
                                            float *u, int64_t ldu, float *vt, int64_t ldvt,
                                            int32_t threads);
swiftlet_status swiftlet_randomized_svd_f64(int64_t m, int64_t n, const double *a, int64_t lda,
                                            int64_t rank, int64_t oversampling,
                                            int64_t power_iterations, uint64_t seed, double *s,
                                            double *u, int64_t ldu, double *vt, int64_t ldvt,
                                            int32_t threads);

/* A = V diag(values) V^T for a symmetric n x n matrix, of which only the upper triangle is read:
 * n values in descending order, and V n x n with the eigenvectors as columns. With `vectors`
 * NULL, only the values are computed, in a fraction of the time. SWIFTLET_BAD_INPUT for NaN or
 * infinite elements in the upper triangle; elements below the diagonal are ignored. */
swiftlet_status swiftlet_eigh_f32(int64_t n, const float *a, int64_t lda, float *values,
                                  float *vectors, int64_t ldv, int32_t threads);
swiftlet_status swiftlet_eigh_f64(int64_t n, const double *a, int64_t lda, double *values,
                                  double *vectors, int64_t ldv, int32_t threads);

/* A = Q R for an m x n matrix, with r = min(m, n): Q m x r with orthonormal columns, R r x n upper
 * triangular. SWIFTLET_BAD_INPUT for NaN or infinite elements. */
swiftlet_status swiftlet_qr_f32(int64_t m, int64_t n, const float *a, int64_t lda, float *q,
                                int64_t ldq, float *r, int64_t ldr, int32_t threads);
swiftlet_status swiftlet_qr_f64(int64_t m, int64_t n, const double *a, int64_t lda, double *q,
                                int64_t ldq, double *r, int64_t ldr, int32_t threads);

/* The dimensions of a convolution. */
typedef struct {
  /* sizeof(swiftlet_conv2d). */
  size_t struct_size;
  int64_t batch, channels, height, width;
  /* Output channels; like `channels`, a multiple of `groups`. */
  int64_t filters;
  int64_t kernel_height, kernel_width;
  /* 0 counts as 1 for strides, dilations and groups. */
  int64_t stride_height, stride_width;
  int64_t dilation_height, dilation_width;
  int64_t pad_top, pad_left, pad_bottom, pad_right;
  int64_t groups;
} swiftlet_conv2d;

/* The height and width of the result. */
swiftlet_status swiftlet_conv2d_output(const swiftlet_conv2d *sizes, int64_t *height,
                                       int64_t *width);

/* y = x * weights + bias (cross-correlation, as in neural networks), all packed: x batch x
 * channels x height x width, weights filters x (channels / groups) x kernel_height x
 * kernel_width, bias filters values or NULL, y batch x filters x output height x output width,
 * `y_count` elements. */
swiftlet_status swiftlet_conv2d_f32(const swiftlet_conv2d *sizes, const float *x,
                                    const float *weights, const float *bias, float *y,
                                    size_t y_count, int32_t threads);

#ifdef __cplusplus
}
#endif

#include "swiftlet_compress.h"

#endif
