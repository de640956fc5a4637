/* SPDX-License-Identifier: Apache-2.0 */

/* Compresses a model and prints the progress. Ctrl-C stops it and leaves no files.
 *
 *     compress MODEL.onnx SMALL.onnx fashion-mnist */
#include <signal.h>
#include <stdio.h>
#include <swiftlet.h>

static volatile sig_atomic_t stop;

static void interrupted(int signal) {
  (void)signal;
  stop = 1;
}

static int32_t hear(const char *task, uint64_t completed, uint64_t total, const char *remark,
                    void *context) {
  (void)context;
  fprintf(stderr, "%s %llu/%llu %s\n", task, (unsigned long long)completed,
          (unsigned long long)total, remark ? remark : "");
  return stop;
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: compress MODEL.onnx SMALL.onnx DATA\n");
    return 64;
  }
  signal(SIGINT, interrupted);
  const char *recipe = "steps: [{technique: svd, ratio: 0.5}]";
  char *report;
  swiftlet_status status =
      swiftlet_compress(argv[1], recipe, argv[3], NULL, hear, NULL, argv[2], &report);
  if (status != SWIFTLET_OK) {
    fprintf(stderr, "%s: %s\n", swiftlet_status_name(status), swiftlet_last_error());
    return (int)status;
  }
  printf("%s\n", report);
  swiftlet_string_free(report);
}
