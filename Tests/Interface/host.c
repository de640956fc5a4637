/* SPDX-License-Identifier: Apache-2.0 */

/* The number of threads that the program around the library gave OpenBLAS is the same after every
 * call: after those that work, those that fail, and those of several threads at once. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <swiftlet.h>

int openblas_get_num_threads(void);
void openblas_set_num_threads(int);

enum { N = 90 };
static double a64[N * N], b64[N * N], c64[N * N], s64[N];
static float a32[N * N], b32[N * N], c32[N * N], s32[N];

static int wanted;

static void expect(const char *what, swiftlet_status status, swiftlet_status expected) {
  if (status != expected) {
    fprintf(stderr, "host: %s: status %d: %s\n", what, status, swiftlet_last_error());
    exit(1);
  }
  if (openblas_get_num_threads() != wanted) {
    fprintf(stderr, "host: %s leaves %d threads, not %d\n", what, openblas_get_num_threads(),
            wanted);
    exit(1);
  }
}

static void linear_algebra(int threads) {
  expect("gemm_f32", swiftlet_gemm_f32(0, 1, N, N, N, 1, a32, N, b32, N, 0, c32, N, threads), 0);
  expect("gemm_f64", swiftlet_gemm_f64(1, 0, N, N, N, 1, a64, N, b64, N, 1, c64, N, threads), 0);
  expect("gemm_u8s8s32",
         swiftlet_gemm_u8s8s32(4, 4, 4, (uint8_t *)a32, 4, (int8_t *)b32, 4, (int32_t *)c32, 4,
                               threads),
         0);
  expect("svd_f32", swiftlet_svd_f32(N, N, a32, N, s32, b32, N, c32, N, threads), 0);
  expect("svd_f64", swiftlet_svd_f64(N, N, a64, N, s64, b64, N, c64, N, threads), 0);
  expect("svd_f64 of values", swiftlet_svd_f64(N, N, a64, N, s64, NULL, 0, NULL, 0, threads), 0);
  expect("randomized_svd_f32",
         swiftlet_randomized_svd_f32(N, N, a32, N, 5, 5, 1, 0, s32, b32, 5, c32, N, threads), 0);
  expect("randomized_svd_f64",
         swiftlet_randomized_svd_f64(N, N, a64, N, 5, 5, 1, 0, s64, b64, 5, c64, N, threads), 0);
  expect("eigh_f32", swiftlet_eigh_f32(N, a32, N, s32, b32, N, threads), 0);
  expect("eigh_f64", swiftlet_eigh_f64(N, a64, N, s64, NULL, 0, threads), 0);
  expect("qr_f32", swiftlet_qr_f32(N, N, a32, N, b32, N, c32, N, threads), 0);
  expect("qr_f64", swiftlet_qr_f64(N, N, a64, N, b64, N, c64, N, threads), 0);
  swiftlet_conv2d sizes = {.struct_size = sizeof sizes,
                           .batch = 1,
                           .channels = 3,
                           .height = 8,
                           .width = 8,
                           .filters = 4,
                           .kernel_height = 3,
                           .kernel_width = 3};
  expect("conv2d_f32", swiftlet_conv2d_f32(&sizes, a32, b32, NULL, c32, 4 * 6 * 6, threads), 0);
}

static void failures(int threads) {
  double bad[] = {1, 2, 3, 4};
  memset(&bad[1], 0xFF, sizeof *bad); /* NaN */
  expect("svd of NaN", swiftlet_svd_f64(2, 2, bad, 2, s64, NULL, 0, NULL, 0, threads),
         SWIFTLET_BAD_INPUT);
  expect("eigh of NaN", swiftlet_eigh_f64(2, bad, 2, s64, NULL, 0, threads), SWIFTLET_BAD_INPUT);
  expect("qr of NaN", swiftlet_qr_f64(2, 2, bad, 2, b64, 2, c64, 2, threads), SWIFTLET_BAD_INPUT);
  expect("svd of NULL", swiftlet_svd_f64(2, 2, NULL, 2, s64, NULL, 0, NULL, 0, threads),
         SWIFTLET_USAGE);
  expect("gemm of too much",
         swiftlet_gemm_f64(0, 0, -1, 2, 2, 1, a64, 2, b64, 2, 0, c64, 2, threads), SWIFTLET_USAGE);
  /* 32 TB: refused before anything is read. */
  const double *nowhere = (const double *)(1UL << 30);
  expect("svd without memory",
         swiftlet_svd_f64(1 << 21, 1 << 21, nowhere, 1 << 21, (double *)4096, NULL, 0, NULL, 0,
                          threads),
         SWIFTLET_OUT_OF_MEMORY);
}

static void run_model(const char *path, int threads) {
  swiftlet_session_options options = {sizeof options, threads, 0};
  swiftlet_session *session;
  swiftlet_request *request;
  swiftlet_value_info input;
  expect("session_open", swiftlet_session_open(path, &options, &session), 0);
  expect("session_input", swiftlet_session_input(session, 0, &input), 0);
  int64_t shape[8];
  size_t count = 1;
  for (size_t axis = 0; axis < input.rank && axis < 8; axis++) {
    shape[axis] = input.dimensions[axis] < 0 ? 4 : input.dimensions[axis];
    count *= (size_t)shape[axis];
  }
  float *values = calloc(count, sizeof *values);
  expect("request_create", swiftlet_request_create(session, &request), 0);
  expect("request_bind",
         swiftlet_request_bind(request, input.name, SWIFTLET_FLOAT32, shape, input.rank, values,
                               count * sizeof *values),
         0);
  expect("request_run", swiftlet_request_run(request), 0);
  char *json;
  expect("request_profile", swiftlet_request_profile(request, 2, &json), 0);
  swiftlet_string_free(json);
  expect("request_close", swiftlet_request_close(request), 0);
  expect("session_close", swiftlet_session_close(session), 0);
  free(values);
}

static void *work(void *number) {
  size_t which = (size_t)number;
  double s[N], *u = malloc(sizeof a64), *vt = malloc(sizeof a64);
  for (int round = 0; round < 8; round++) {
    swiftlet_status status =
        which % 2 ? swiftlet_svd_f64(N, N, a64, N, s, u, N, vt, N, (int32_t)(which % 3 + 1))
                  : swiftlet_gemm_f64(0, 0, N, N, N, 1, a64, N, a64, N, 0, u, N,
                                      (int32_t)(which % 3 + 1));
    if (status != SWIFTLET_OK) exit(1);
  }
  free(u);
  free(vt);
  return NULL;
}

int main(int argc, char **argv) {
  if (argc < 2) return 64;
  for (int i = 0; i < N * N; i++) {
    a64[i] = (double)rand() / RAND_MAX - 0.5;
    a32[i] = (float)a64[i];
  }
  for (wanted = 3; wanted >= 1; wanted--) {
    openblas_set_num_threads(wanted);
    for (int threads = 0; threads <= 2; threads++) {
      linear_algebra(threads);
      failures(threads);
    }
    run_model(argv[1], 2);
    pthread_t threads[6];
    for (size_t i = 0; i < 6; i++) pthread_create(&threads[i], NULL, work, (void *)i);
    for (size_t i = 0; i < 6; i++) pthread_join(threads[i], NULL);
    expect("many threads", SWIFTLET_OK, SWIFTLET_OK);
  }
  wanted = 2;
  openblas_set_num_threads(wanted);
  if (argc > 2) {
    swiftlet_compress_options options = {.struct_size = sizeof options, .threads = 2};
    expect("compress",
           swiftlet_compress(argv[1], "steps: [{technique: svd, ratio: 0.5}]", argv[3], &options,
                             NULL, NULL, argv[2], NULL),
           0);
    expect("compress of nothing",
           swiftlet_compress("/nowhere", "steps: []", argv[3], &options, NULL, NULL, argv[2], NULL),
           SWIFTLET_BAD_INPUT);
  }
  printf("OpenBLAS has the threads that it had\n");
  return 0;
}
