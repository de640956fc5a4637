/* SPDX-License-Identifier: Apache-2.0 */

/* Decoders of JPEG and PNG on libjpeg and libpng, which report errors by longjmp: Swift must never
 * be jumped over, so the jumps start and end in here. And the loops of resizing. Not installed.
 *
 * Of the decoders: the caller has read width and height from the header and allocated the pixels.
 * The functions write rows of `channels` bytes per pixel without gaps, never beyond what the
 * arguments say, and refuse a file whose header the library understands differently. They print
 * nothing. A result of 0 means success, SWL_IMAGE_NO_MEMORY that memory is lacking; otherwise
 * `message` tells why. Pixels are undefined then. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { SWL_IMAGE_MESSAGE = 256, SWL_IMAGE_NO_MEMORY = -1 };

/* Decodes a JPEG as grey (1), RGB (3) or CMYK (4 channels, as stored: Adobe's are inverted),
 * reduced to eighths/8 of its size, rounded up: `width` and `height` are the reduced ones. Damage
 * that libjpeg can skip is accepted; an early end of the file is an error. */
int swl_jpeg_read(const uint8_t *bytes, size_t count, int eighths, uint32_t width, uint32_t height,
                  int channels, uint8_t *pixels, char message[SWL_IMAGE_MESSAGE]);

/* Decodes a PNG as grey (1), RGB (3) or RGBA (4 channels). Grey files give grey or RGBA, others RGB
 * or RGBA. 16 bits become 8: of grey without an alpha channel the lower ones, or 255 if they are
 * exceeded; of others the higher ones. */
int swl_png_read(const uint8_t *bytes, size_t count, uint32_t width, uint32_t height, int channels,
                 uint8_t *pixels, char message[SWL_IMAGE_MESSAGE]);

/* For each of `places` pixels (or rows) of a result, a window of those of the picture, and their
 * weights: high·2¹⁴ + low is a multiple of 2⁻²², `stride`, which is even, for each place; those
 * beyond its window are 0. */
struct swl_windows {
  const int32_t *starts, *counts;
  const int16_t *high, *low;
  int places, stride;
};

/* Makes a row of the result of a row of `width` pixels, 1, 3 or 4 bytes each. */
void swl_resample_row(const uint8_t *source, int width, int channels,
                      const struct swl_windows *windows, uint8_t *target);

/* Makes row `place` of the result of the rows of its window, the first of which is `source`; rows
 * have `length` bytes. */
void swl_combine_rows(const uint8_t *source, size_t length, const struct swl_windows *windows,
                      int place, uint8_t *target);
