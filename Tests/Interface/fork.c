/* A child of a process that has used the library goes on with it; one that was forked while another
 * thread was inside of a call is told so. Neither hangs. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
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

int main(int argc, char **argv) {
  swiftlet_session_options options = {sizeof options, 2, 0};
  swiftlet_session *session;
  if (argc != 2) return 64;
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
  return told == 0;
}
