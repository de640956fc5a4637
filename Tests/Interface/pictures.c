/* SPDX-License-Identifier: Apache-2.0 */

/* Evaluates and compresses a model on pictures of which one is damaged, with options for that.
 *
 *     pictures MODEL.onnx DIR SMALL.onnx
 *
 * The model takes pictures of any size, whose sides are called `side`, in four classes. DIR is an
 * empty folder. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <swiftlet.h>
#include <sys/stat.h>

enum { side = 8, pixels = side * side * 3, header = 54 };

static void check(int is_right, const char *what) {
  if (is_right) return;
  fprintf(stderr, "pictures: %s: %s\n", what, swiftlet_last_error());
  exit(1);
}

static void expect(swiftlet_status status, swiftlet_status expected, const char *fragment) {
  check(status == expected, fragment);
  check(status == SWIFTLET_OK || strstr(swiftlet_last_error(), fragment), fragment);
}

/* Writes a BMP of one colour, without its last bytes if it is damaged. */
static void draw(const char *path, uint8_t shade, int is_damaged) {
  uint8_t file[header + pixels] = {'B', 'M'};
  file[2] = sizeof file & 255;
  file[10] = header;
  file[14] = 40;
  file[18] = side;
  file[22] = side;
  file[26] = 1;
  file[28] = 24;
  memset(file + header, shade, pixels);
  FILE *stream = fopen(path, "wb");
  const size_t count = sizeof file - (is_damaged ? 20 : 0);
  check(stream && fwrite(file, 1, count, stream) == count, path);
  fclose(stream);
}

/* Whether the first text, which is freed, has the second in it. */
static int has(char *json, const char *fragment) {
  const int found = strstr(json, fragment) != NULL;
  if (!found) fprintf(stderr, "pictures: no %s in %s\n", fragment, json);
  swiftlet_string_free(json);
  return found;
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: pictures MODEL.onnx DIR SMALL.onnx\n");
    return 64;
  }
  const char *model = argv[1];
  char data[512], path[600];
  snprintf(data, sizeof data, "images:%s", argv[2]);
  for (int kind = 0; kind < 4; kind++) {
    snprintf(path, sizeof path, "%s/%d", argv[2], kind);
    check(mkdir(path, 0700) == 0, path);
    for (int i = 0; i < 4; i++) {
      snprintf(path, sizeof path, "%s/%d/%d.bmp", argv[2], kind, i);
      draw(path, (uint8_t)(60 * kind + i), kind == 2 && i == 1);
    }
  }

  const swiftlet_extent extents[] = {{"side", 12}, {"images[0]", 2}};
  swiftlet_evaluate_options how = {
      .struct_size = sizeof how, .extents = extents, .extent_count = 2};
  char *json;
  expect(swiftlet_evaluate(model, data, &how, NULL, NULL, &json), SWIFTLET_BAD_INPUT, "2/1.bmp");
  how.skip_damaged = 1;
  for (uint64_t memory = 0; memory < 2; memory++) {
    how.loader_memory = memory;
    expect(swiftlet_evaluate(model, data, &how, NULL, NULL, &json), SWIFTLET_OK, "evaluate");
    check(has(json, "\"damaged\":1"), "the number of damaged pictures");
  }
  how.struct_size = offsetof(swiftlet_evaluate_options, skip_damaged);
  expect(swiftlet_evaluate(model, data, &how, NULL, NULL, &json), SWIFTLET_BAD_INPUT, "2/1.bmp");
  how.struct_size = sizeof how;
  how.loader_memory = (uint64_t)-1;
  expect(swiftlet_evaluate(model, data, &how, NULL, NULL, &json), SWIFTLET_USAGE, "loader_memory");
  how.loader_memory = 0;
  const swiftlet_extent wrong[] = {{"side", -3}, {"sides", 12}};
  how.extent_count = 1;
  how.extents = wrong;
  expect(swiftlet_evaluate(model, data, &how, NULL, NULL, &json), SWIFTLET_USAGE, "'side', is -3");
  how.extents = wrong + 1;
  expect(swiftlet_evaluate(model, data, &how, NULL, NULL, &json), SWIFTLET_BAD_INPUT, "'sides'");

  swiftlet_compress_options to = {.struct_size = sizeof to,
                                  .technique = "svd",
                                  .settings = "{ratio: 0.5}",
                                  .extents = extents,
                                  .extent_count = 1};
  expect(swiftlet_compress(model, NULL, data, &to, NULL, NULL, argv[3], &json), SWIFTLET_BAD_INPUT,
         "2/1.bmp");
  to.skip_damaged = 1;
  to.loader_memory = 1 << 20;
  expect(swiftlet_compress(model, NULL, data, &to, NULL, NULL, argv[3], &json), SWIFTLET_OK,
         "compress");
  check(has(json, "\"damaged\":1"), "the number of damaged pictures");
  to.extents = wrong + 1;
  expect(swiftlet_compress(model, NULL, data, &to, NULL, NULL, argv[3], &json), SWIFTLET_BAD_INPUT,
         "use one of");
  printf("damaged pictures are left out\n");
  return 0;
}
