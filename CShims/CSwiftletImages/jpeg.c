/* SPDX-License-Identifier: Apache-2.0 */

#ifdef SWIFTLET_IMAGES
#include "swiftlet_images.h"
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <jpeglib.h>
#include <jerror.h>

/* Each scan of a progressive file costs a pass over all coefficients: a few bytes must not demand
 * thousands of them. Encoders write about ten. */
enum { SCAN_LIMIT = 500 };

struct reader {
  struct jpeg_decompress_struct jpeg;
  struct jpeg_error_mgr errors;
  struct jpeg_progress_mgr progress;
  struct jpeg_source_mgr source;
  jmp_buf failure;
  char *message;
};

static void fail(struct reader *reader, const char *message) {
  snprintf(reader->message, SWL_IMAGE_MESSAGE, "%s", message);
  int is_memory = reader->errors.msg_code == JERR_OUT_OF_MEMORY;
  longjmp(reader->failure, is_memory ? SWL_IMAGE_NO_MEMORY : 1);
}

static void exit_on_error(j_common_ptr jpeg) {
  char text[JMSG_LENGTH_MAX];
  jpeg->err->format_message(jpeg, text);
  fail(jpeg->client_data, text);
}

static void ignore_message(j_common_ptr jpeg, int level) { (void)jpeg, (void)level; }
static void print_nothing(j_common_ptr jpeg) { (void)jpeg; }

static void limit_scans(j_common_ptr jpeg) {
  struct reader *reader = jpeg->client_data;
  if (reader->jpeg.input_scan_number > SCAN_LIMIT) fail(reader, "it has more than 500 scans");
}

static void do_nothing(j_decompress_ptr jpeg) { (void)jpeg; }

static boolean refuse_to_fill(j_decompress_ptr jpeg) {
  fail(jpeg->client_data, "the file ends early");
  return FALSE;
}

static void skip(j_decompress_ptr jpeg, long count) {
  struct jpeg_source_mgr *source = jpeg->src;
  if (count <= 0) return;
  if ((size_t)count > source->bytes_in_buffer) refuse_to_fill(jpeg);
  source->next_input_byte += count;
  source->bytes_in_buffer -= (size_t)count;
}

static void read_rows(struct reader *reader, int eighths, uint32_t width, uint32_t height,
                      int channels, uint8_t *pixels) {
  struct jpeg_decompress_struct *jpeg = &reader->jpeg;
  jpeg_read_header(jpeg, TRUE);
  jpeg->out_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 3 ? JCS_RGB : JCS_CMYK;
  jpeg->scale_num = (unsigned)eighths;
  jpeg->scale_denom = 8;
  jpeg_calc_output_dimensions(jpeg);
  if (jpeg->output_width != width || jpeg->output_height != height ||
      jpeg->output_components != channels) {
    fail(reader, "its frame headers disagree");
  }
  jpeg_start_decompress(jpeg);
  size_t stride = (size_t)width * (size_t)channels;
  while (jpeg->output_scanline < height) {
    JSAMPROW rows[4];
    for (uint32_t i = 0; i < 4; i++) {
      uint32_t y = jpeg->output_scanline + i;
      rows[i] = pixels + stride * (y < height ? y : height - 1);
    }
    uint32_t left = height - jpeg->output_scanline;
    jpeg_read_scanlines(jpeg, rows, left < 4 ? left : 4);
  }
  jpeg_finish_decompress(jpeg);
}

/* Everything that may jump. */
static void decode(struct reader *reader, int eighths, uint32_t width, uint32_t height,
                   int channels, uint8_t *pixels) {
  struct jpeg_decompress_struct *jpeg = &reader->jpeg;
  jpeg_create_decompress(jpeg);
  jpeg->progress = &reader->progress;
  jpeg->src = &reader->source;
  read_rows(reader, eighths, width, height, channels, pixels);
}

int swl_jpeg_read(const uint8_t *bytes, size_t count, int eighths, uint32_t width, uint32_t height,
                  int channels, uint8_t *pixels, char message[SWL_IMAGE_MESSAGE]) {
  struct reader reader;
  memset(&reader, 0, sizeof reader);
  reader.message = message;
  reader.jpeg.client_data = &reader;
  reader.jpeg.err = jpeg_std_error(&reader.errors);
  reader.errors.error_exit = exit_on_error;
  reader.errors.emit_message = ignore_message;
  reader.errors.output_message = print_nothing;
  reader.progress.progress_monitor = limit_scans;
  reader.source.next_input_byte = bytes;
  reader.source.bytes_in_buffer = count;
  reader.source.init_source = do_nothing;
  reader.source.fill_input_buffer = refuse_to_fill;
  reader.source.skip_input_data = skip;
  reader.source.resync_to_restart = jpeg_resync_to_restart;
  reader.source.term_source = do_nothing;
  int failed = setjmp(reader.failure);
  if (!failed) decode(&reader, eighths, width, height, channels, pixels);
  jpeg_destroy_decompress(&reader.jpeg);
  return failed;
}
#else
/* C has no empty files. */
typedef int swl_no_jpeg;
#endif
