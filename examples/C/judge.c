/* SPDX-License-Identifier: Apache-2.0 */

/* Evaluates a model and makes it smaller, on samples that the program makes when they are asked
 * for, and by a metric of its own: how far the largest score of a sample is above the mean.
 *
 *     judge MODEL.onnx SMALL.onnx */
#include <stdio.h>
#include <stdlib.h>
#include <swiftlet.h>

enum { samples = 64 };

/* The number of elements of a sample. */
static size_t size;

/* Sample i: a wave that is different for each. */
static int32_t fill(size_t array, size_t first, size_t count, void *target, void *context) {
  (void)array;
  (void)context;
  float *elements = target;
  for (size_t i = 0; i < count; i++)
    for (size_t j = 0; j < size; j++)
      elements[i * size + j] = (float)((first + i) * (j + 1) % 17) / 16;
  return 0;
}

static int32_t margin(const swiftlet_batch *batch, double *scores, size_t *count, void *context) {
  (void)context;
  const swiftlet_tensor *output = &batch->outputs[0].value;
  if (output->dtype != SWIFTLET_FLOAT32 || output->rank != 2) return 1;
  const float *data = output->data;
  const int64_t classes = output->shape[1];
  for (size_t i = 0; i < *count; i++) {
    double largest = data[i * (size_t)classes], sum = 0;
    for (int64_t j = 0; j < classes; j++) {
      const double score = data[i * (size_t)classes + (size_t)j];
      if (score > largest) largest = score;
      sum += score;
    }
    scores[i] = largest - sum / (double)classes;
  }
  return 0;
}

static int failed(swiftlet_status status) {
  fprintf(stderr, "%s: %s\n", swiftlet_status_name(status), swiftlet_last_error());
  return (int)status;
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: judge MODEL.onnx SMALL.onnx\n");
    return 64;
  }
  /* The samples are of the shape of the model's input. */
  swiftlet_session *session;
  swiftlet_value_info input;
  swiftlet_status status = swiftlet_session_open(argv[1], NULL, &session);
  if (status == SWIFTLET_OK) status = swiftlet_session_input(session, 0, &input);
  if (status != SWIFTLET_OK) return failed(status);
  int64_t shape[8] = {samples};
  size = 1;
  for (size_t axis = 1; axis < input.rank && axis < 8; axis++) {
    shape[axis] = input.dimensions[axis];
    size *= (size_t)shape[axis];
  }
  const swiftlet_array array = {.dtype = SWIFTLET_FLOAT32, .rank = input.rank, .shape = shape};
  swiftlet_session_close(session);

  const swiftlet_samples data = {.struct_size = sizeof data,
                                 .count = samples,
                                 .arrays = &array,
                                 .array_count = 1,
                                 .fill = fill};
  const swiftlet_metric metric = {.struct_size = sizeof metric, .name = "margin", .score = margin};
  const swiftlet_evaluate_options how = {
      .struct_size = sizeof how, .samples = &data, .own_metric = &metric};
  char *text;
  status = swiftlet_evaluate(argv[1], NULL, &how, NULL, NULL, &text);
  if (status != SWIFTLET_OK) return failed(status);
  printf("%s\n", text);
  swiftlet_string_free(text);

  const swiftlet_compress_options options = {.struct_size = sizeof options,
                                             .technique = "quantize",
                                             .samples = &data,
                                             .own_metric = &metric};
  status = swiftlet_compress(argv[1], NULL, NULL, &options, NULL, NULL, argv[2], &text);
  if (status != SWIFTLET_OK) return failed(status);
  printf("%s\n", text);
  swiftlet_string_free(text);
  return 0;
}
