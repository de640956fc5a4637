/* SPDX-License-Identifier: Apache-2.0 */

/* A child of a process that has used the library goes on with it; one that was forked while another
 * thread was inside of a call is told so. Neither hangs, nor does the parent, whatever it was
 * computing.
 *
 * usage: fork MODEL.onnx [SMALL.onnx DATA]   which compresses the model, too */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <swiftlet.h>
#include <sys/wait.h>
#include <unistd.h>

static void check(swiftlet_status status) {
  if (status == SWIFTLET_OK) return;
  fprintf(stderr, "fork: %s\n", swiftlet_last_error());
  exit(1);
}

static int outcome(pid_t child) {
  int status;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
}

static swiftlet_request *prepared(swiftlet_session *session) {
  static float values[1 << 20];
  swiftlet_value_info input;
  check(swiftlet_session_input(session, 0, &input));
  int64_t shape[8];
  size_t count = 1;
  for (size_t axis = 0; axis < input.rank && axis < 8; axis++) {
    shape[axis] = input.dimensions[axis] < 0 ? 4 : input.dimensions[axis];
    count *= (size_t)shape[axis];
  }
  swiftlet_request *request;
  check(swiftlet_request_create(session, &request));
  check(swiftlet_request_bind(request, input.name, SWIFTLET_FLOAT32, shape, input.rank, values,
                              count * sizeof *values));
  return request;
}

static volatile int stop;

static void *work(void *request) {
  while (!stop) swiftlet_request_run(request);
  return NULL;
}

/* Computations on two threads, each large enough that most forks meet one. */
enum { N = 150, COUNT = N * N };
static double a64[COUNT];
static float a32[COUNT];

struct memory {
  double s64[N], u64[COUNT], v64[COUNT];
  float s32[N], u32[COUNT], v32[COUNT];
};

static swiftlet_status svd64(struct memory *m) {
  return swiftlet_svd_f64(N, N, a64, N, m->s64, m->u64, N, m->v64, N, 2);
}
static swiftlet_status svd32(struct memory *m) {
  return swiftlet_svd_f32(N, N, a32, N, m->s32, m->u32, N, m->v32, N, 2);
}
static swiftlet_status values64(struct memory *m) {
  return swiftlet_svd_f64(N, N, a64, N, m->s64, NULL, 0, NULL, 0, 2);
}
static swiftlet_status eigh64(struct memory *m) {
  return swiftlet_eigh_f64(N, a64, N, m->s64, m->u64, N, 2);
}
static swiftlet_status eigh32(struct memory *m) {
  return swiftlet_eigh_f32(N, a32, N, m->s32, NULL, 0, 2);
}
static swiftlet_status qr64(struct memory *m) {
  return swiftlet_qr_f64(N, N, a64, N, m->u64, N, m->v64, N, 2);
}
static swiftlet_status qr32(struct memory *m) {
  return swiftlet_qr_f32(N, N, a32, N, m->u32, N, m->v32, N, 2);
}
static swiftlet_status sampled(struct memory *m) {
  return swiftlet_randomized_svd_f64(N, N, a64, N, 20, 10, 2, 0, m->s64, m->u64, 20, m->v64, N, 2);
}
static swiftlet_status gemm64(struct memory *m) {
  return swiftlet_gemm_f64(0, 0, N, N, N, 1, a64, N, a64, N, 0, m->u64, N, 2);
}
static swiftlet_status gemm32(struct memory *m) {
  return swiftlet_gemm_f32(0, 0, N, N, N, 1, a32, N, a32, N, 0, m->u32, N, 2);
}

static const struct kind {
  const char *name;
  swiftlet_status (*run)(struct memory *);
} kinds[] = {{"svd_f64", svd64},
             {"svd_f32", svd32},
             {"values of svd_f64", values64},
             {"eigh_f64", eigh64},
             {"eigh_f32", eigh32},
             {"qr_f64", qr64},
             {"qr_f32", qr32},
             {"randomized_svd_f64", sampled},
             {"gemm_f64", gemm64},
             {"gemm_f32", gemm32}};

static void *compute(void *argument) {
  const struct kind *kind = argument;
  struct memory *memory = malloc(sizeof *memory);
  while (!stop) check(kind->run(memory));
  free(memory);
  return NULL;
}

/* One fork, in whose child a call works or is told what is wrong. */
static int fork_once(void) {
  pid_t child = fork();
  if (child == 0) {
    double a[] = {2, 0, 0, 1}, s[2];
    swiftlet_status status = swiftlet_svd_f64(2, 2, a, 2, s, NULL, 0, NULL, 0, 2);
    if (status == SWIFTLET_OK) _exit(s[0] > 1.999 && s[0] < 2.001 ? 0 : 1);
    _exit((int)status);
  }
  int status = outcome(child);
  if (status != SWIFTLET_OK && status != SWIFTLET_INTERNAL) {
    fprintf(stderr, "fork: a child ends with %d\n", status);
    exit(1);
  }
  return status == SWIFTLET_INTERNAL;
}

static void *fork_often(void *told) {
  for (int round = 0; round < 12; round++) *(int *)told += fork_once();
  return NULL;
}

/* Two threads compute, two fork: all come to an end, and the result is as before. */
static void storm(const struct kind *kind, const struct kind *other) {
  struct memory *before = calloc(1, sizeof *before), *after = calloc(1, sizeof *after);
  check(kind->run(before));
  stop = 0;
  pthread_t workers[2], forkers[2];
  int told[2] = {0, 0};
  pthread_create(&workers[0], NULL, compute, (void *)kind);
  pthread_create(&workers[1], NULL, compute, (void *)other);
  for (int i = 0; i < 2; i++) pthread_create(&forkers[i], NULL, fork_often, &told[i]);
  for (int i = 0; i < 2; i++) pthread_join(forkers[i], NULL);
  stop = 1;
  for (int i = 0; i < 2; i++) pthread_join(workers[i], NULL);
  check(kind->run(after));
  if (memcmp(before, after, sizeof *before) != 0) {
    fprintf(stderr, "fork: %s gives another result after forks\n", kind->name);
    exit(1);
  }
  printf("of 24 forks during %s and %s %d were told\n", kind->name, other->name, told[0] + told[1]);
  free(before);
  free(after);
}

static char **files;

static void *compress(void *unused) {
  swiftlet_compress_options options = {.struct_size = sizeof options, .threads = 2};
  check(swiftlet_compress(files[1], "steps: [{technique: svd, ratio: 0.5}]", files[3], &options,
                          NULL, NULL, files[2], NULL));
  stop = 1;
  return unused;
}

int main(int argc, char **argv) {
  swiftlet_session_options options = {sizeof options, 2, 0};
  swiftlet_session *session;
  if (argc != 2 && argc != 4) return 64;
  check(swiftlet_session_open(argv[1], &options, &session));
  swiftlet_request *request = prepared(session);
  check(swiftlet_request_run(request));

  pid_t child = fork();
  if (child == 0) {
    check(swiftlet_request_run(request));
    double a[] = {1, 2, 3, 4}, s[2];
    check(swiftlet_svd_f64(2, 2, a, 2, s, NULL, 0, NULL, 0, 2));
    _exit(0);
  }
  if (outcome(child) != 0) return 1;
  check(swiftlet_request_run(request));

  pthread_t thread;
  swiftlet_request *other = prepared(session);
  pthread_create(&thread, NULL, work, other);
  int told = 0;
  for (int round = 0; round < 100; round++) {
    child = fork();
    if (child == 0) _exit(swiftlet_request_run(request));
    int status = outcome(child);
    if (status != SWIFTLET_OK && status != SWIFTLET_INTERNAL) return 1;
    told += status == SWIFTLET_INTERNAL;
  }
  stop = 1;
  pthread_join(thread, NULL);
  printf("of 100 forks during runs %d were told\n", told);
  if (told == 0) return 1;

  for (int i = 0; i < N; i++) {
    for (int j = i; j < N; j++) {
      a64[i * N + j] = a64[j * N + i] = (double)rand() / RAND_MAX - 0.5;
      a32[i * N + j] = a32[j * N + i] = (float)a64[i * N + j];
    }
  }
  int count = sizeof kinds / sizeof *kinds;
  for (int i = 0; i < count; i++) storm(&kinds[i], &kinds[(i * 3 + 1) % count]);

  if (argc == 4) {
    files = argv;
    stop = 0;
    pthread_create(&thread, NULL, compress, NULL);
    while (!stop) told += fork_once();
    pthread_join(thread, NULL);
  }
  return 0;
}
