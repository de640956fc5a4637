/* SPDX-License-Identifier: Apache-2.0 */

/* Runs a model with one fp32 input on zeros; prints the output and the time of each layer.
 *
 *     cc run_model.c $(pkg-config --cflags --libs swiftlet) -o run_model && ./run_model MODEL.onnx
 */
#include <stdio.h>
#include <stdlib.h>
#include <swiftlet.h>

static void check(swiftlet_status status) {
  if (status == SWIFTLET_OK) return;
  fprintf(stderr, "%s: %s\n", swiftlet_status_name(status), swiftlet_last_error());
  exit(status);
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: run_model MODEL.onnx\n");
    return 64;
  }
  swiftlet_session *session;
  swiftlet_session_options options = {.struct_size = sizeof options, .threads = 2};
  check(swiftlet_session_open(argv[1], &options, &session));

  /* The input shape, with a batch of two if the model leaves the extent open. */
  swiftlet_value_info input;
  check(swiftlet_session_input(session, 0, &input));
  int64_t shape[8];
  size_t count = 1;
  printf("input %s:", input.name);
  for (size_t axis = 0; axis < input.rank && axis < 8; axis++) {
    shape[axis] = input.dimensions[axis] < 0 ? 2 : input.dimensions[axis];
    count *= (size_t)shape[axis];
    printf(" %lld", (long long)shape[axis]);
  }
  printf("\n");

  /* The request reads this memory in each run; it can be refilled between runs. */
  float *values = calloc(count, sizeof *values);
  swiftlet_request *request;
  check(swiftlet_request_create(session, &request));
  check(swiftlet_request_bind(request, input.name, SWIFTLET_FLOAT32, shape, input.rank, values,
                              count * sizeof *values));
  check(swiftlet_request_run(request));

  swiftlet_tensor output;
  check(swiftlet_request_output(request, 0, &output));
  printf("output of %zu bytes, first value %g\n", output.byte_count, *(const float *)output.data);

  char *profile;
  check(swiftlet_request_profile(request, 3, &profile));
  printf("%s\n", profile);
  swiftlet_string_free(profile);

  check(swiftlet_request_close(request));
  check(swiftlet_session_close(session));
  free(values);
}
