/* SPDX-License-Identifier: Apache-2.0 */

/* What a call costs: a run of one Identity of one element through a prepared request, the same with
 * a bound output, and a call that only looks a handle up. Medians of rounds. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <swiftlet.h>
#include <time.h>

/* y = x, an ONNX file of operator set 17. */
static const uint8_t identity[] = {
    0x08, 0x08, 'B',  0x02, 0x10, 0x11, ':',  '7',  0x0a, 0x10, 0x0a, 0x01, 'x',  0x12, 0x01, 'y',
    '"',  0x08, 'I',  'd',  'e',  'n',  't',  'i',  't',  'y',  0x12, 0x01, 'g',  'Z',  0x0f, 0x0a,
    0x01, 'x',  0x12, 0x0a, 0x0a, 0x08, 0x08, 0x01, 0x12, 0x04, 0x0a, 0x02, 0x08, 0x01, 'b',  0x0f,
    0x0a, 0x01, 'y',  0x12, 0x0a, 0x0a, 0x08, 0x08, 0x01, 0x12, 0x04, 0x0a, 0x02, 0x08, 0x01};

static void check(swiftlet_status status) {
  if (status == SWIFTLET_OK) return;
  fprintf(stderr, "overhead: %s\n", swiftlet_last_error());
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static int ascending(const void *a, const void *b) {
  return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

enum { CALLS = 50000, ROUNDS = 21 };

static swiftlet_session *session;
static swiftlet_request *request;

static void run(void) { check(swiftlet_request_run(request)); }

static void look_up(void) {
  size_t count;
  check(swiftlet_session_input_count(session, &count));
}

static double nanoseconds(void (*call)(void)) {
  double rounds[ROUNDS];
  for (int round = 0; round < ROUNDS; round++) {
    double start = now();
    for (int number = 0; number < CALLS; number++) call();
    rounds[round] = (now() - start) / CALLS;
  }
  qsort(rounds, ROUNDS, sizeof *rounds, ascending);
  return rounds[ROUNDS / 2];
}

int main(void) {
  swiftlet_session_options options = {sizeof options, 1, SWIFTLET_FP32};
  check(swiftlet_session_open_memory(identity, sizeof identity, &options, &session));
  check(swiftlet_request_create(session, &request));
  const float x = 42;
  float y = 0;
  const int64_t shape[] = {1};
  check(swiftlet_request_bind(request, "x", SWIFTLET_FLOAT32, shape, 1, &x, sizeof x));
  printf("empty run                      %7.1f ns\n", nanoseconds(run));
  check(swiftlet_request_bind_output(request, 0, &y, sizeof y));
  printf("empty run, output copied       %7.1f ns\n", nanoseconds(run));
  printf("call that looks a handle up    %7.1f ns\n", nanoseconds(look_up));
  check(swiftlet_request_close(request));
  check(swiftlet_session_close(session));
  return y != x;
}
