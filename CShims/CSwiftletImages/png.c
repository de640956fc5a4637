/* SPDX-License-Identifier: Apache-2.0 */

#ifdef SWIFTLET_IMAGES
#include "swiftlet_images.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <png.h>

struct reader {
  const uint8_t *bytes;
  size_t left;
  uint32_t width, height;
  int channels;
  uint8_t *pixels;
  char *message;
  /* The picture with 16 bits, if it is grey and has them. */
  uint8_t *wide;
  bool lacks_memory;
};

static void fail(png_structp png, png_const_charp text) {
  struct reader *reader = png_get_error_ptr(png);
  snprintf(reader->message, SWL_IMAGE_MESSAGE, "%s", text);
  png_longjmp(png, 1);
}

static void ignore_warning(png_structp png, png_const_charp text) { (void)png, (void)text; }

static void copy_bytes(png_structp png, png_bytep target, size_t count) {
  struct reader *reader = png_get_io_ptr(png);
  if (count > reader->left) png_error(png, "the file ends early");
  memcpy(target, reader->bytes, count);
  reader->bytes += count;
  reader->left -= count;
}

/* Asks for 8 bits, except of grey with 16: returns whether that is the case. */
static bool choose_transforms(png_structp png, png_infop info, int channels) {
  int color = png_get_color_type(png, info), depth = png_get_bit_depth(png, info);
  if (depth == 16 && color == PNG_COLOR_TYPE_GRAY) return true;
  if (depth == 16) png_set_strip_16(png);
  if (color == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
  if (color == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(png);
  if (channels == 4) {
    if (png_get_valid(png, info, PNG_INFO_tRNS)) png_set_tRNS_to_alpha(png);
    if (!(color & PNG_COLOR_MASK_COLOR)) png_set_gray_to_rgb(png);
    png_set_add_alpha(png, 255, PNG_FILLER_AFTER);
  } else {
    png_set_strip_alpha(png);
  }
  return false;
}

/* Makes pixels of 16-bit grey. */
static void narrow(png_structp png, png_infop info, struct reader *reader) {
  png_color_16p transparent = NULL;
  png_get_tRNS(png, info, NULL, NULL, &transparent);
  size_t count = (size_t)reader->width * reader->height;
  for (size_t i = 0; i < count; i++) {
    const uint8_t *wide = reader->wide + 2 * i;
    uint8_t *pixel = reader->pixels + i * (size_t)reader->channels;
    for (int c = 0; c < reader->channels; c++) pixel[c] = wide[0] ? 255 : wide[1];
    if (reader->channels == 4) {
      pixel[3] = transparent && (wide[0] << 8 | wide[1]) == transparent->gray ? 0 : 255;
    }
  }
}

static void read_picture(png_structp png, png_infop info, struct reader *reader) {
  png_set_read_fn(png, reader, copy_bytes);
  /* Of what is not needed nothing is expanded or kept. */
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
  /* Encoders exist whose files claim a smaller window than they use. */
  png_set_option(png, PNG_MAXIMUM_INFLATE_WINDOW, PNG_OPTION_ON);
  png_set_user_limits(png, reader->width, reader->height);
  png_read_info(png, info);
  bool is_wide = choose_transforms(png, info, reader->channels);
  int passes = png_set_interlace_handling(png);
  png_read_update_info(png, info);
  size_t stride = (size_t)reader->width * (size_t)(is_wide ? 2 : reader->channels);
  if (png_get_image_width(png, info) != reader->width ||
      png_get_image_height(png, info) != reader->height || png_get_rowbytes(png, info) != stride) {
    png_error(png, "its header chunks disagree");
  }
  if (is_wide && !(reader->wide = malloc(stride * reader->height))) {
    reader->lacks_memory = true;
    png_error(png, "there is no memory");
  }
  uint8_t *rows = is_wide ? reader->wide : reader->pixels;
  for (int pass = 0; pass < passes; pass++) {
    for (uint32_t y = 0; y < reader->height; y++) png_read_row(png, rows + y * stride, NULL);
  }
  if (is_wide) narrow(png, info, reader);
}

int swl_png_read(const uint8_t *bytes, size_t count, uint32_t width, uint32_t height, int channels,
                 uint8_t *pixels, char message[SWL_IMAGE_MESSAGE]) {
  struct reader reader = {bytes, count, width, height, channels, pixels, message, NULL, false};
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, fail, ignore_warning);
  png_infop info = png ? png_create_info_struct(png) : NULL;
  if (!info) {
    png_destroy_read_struct(&png, NULL, NULL);
    return SWL_IMAGE_NO_MEMORY;
  }
  int failed = setjmp(png_jmpbuf(png));
  if (!failed) read_picture(png, info, &reader);
  png_destroy_read_struct(&png, &info, NULL);
  free(reader.wide);
  return reader.lacks_memory ? SWL_IMAGE_NO_MEMORY : failed;
}
#else
/* C has no empty files. */
typedef int swl_no_png;
#endif
