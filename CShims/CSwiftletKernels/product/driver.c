/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "../lanes/bf16.h"
#include "product.h"

static size_t ceiling(size_t count, size_t divisor) { return (count + divisor - 1) / divisor; }

size_t swl_product_padded_columns(const swl_product_kernel *kernel, size_t columns) {
  return ceiling(columns, kernel->lanes) * kernel->lanes;
}

void swl_product_pack(const swl_product_kernel *kernel, size_t words, size_t columns,
                      const void *source, size_t column_step, const int32_t *offsets,
                      void *packed) {
  const size_t padded = swl_product_padded_columns(kernel, columns);
  const size_t panel = 2 * kernel->lanes;
  uint32_t *target = packed;
  for (size_t start = 0; start < padded; start += panel) {
    const size_t width = padded - start < panel ? padded - start : panel;
    for (size_t word = 0; word < words; word++)
      for (size_t n = start; n < start + width; n++) {
        uint32_t value = 0;
        if (n >= columns) {
          /* Padding multiplies by zero. */
        } else if (kernel->type == SWL_PRODUCT_F32) {
          const float *column = (const float *)source + n * column_step;
          if (offsets[word] >= 0) memcpy(&value, column + offsets[word], 4);
        } else if (kernel->type == SWL_PRODUCT_BF16) {
          const float *column = (const float *)source + n * column_step;
          for (size_t e = 0; e < 2; e++) {
            const int32_t offset = offsets[2 * word + e];
            if (offset >= 0) value |= (uint32_t)swl_bf16(column[offset]) << 16 * e;
          }
        } else {
          const uint8_t *column = (const uint8_t *)source + n * column_step;
          for (size_t e = 0; e < 4; e++) {
            const int32_t offset = offsets[4 * word + e];
            if (offset >= 0) value |= (uint32_t)column[offset] << 8 * e;
          }
        }
        *target++ = value;
      }
  }
}

/* Row tiles of equal height, or one less, as few as there can be. */
static size_t row_tiles(const swl_product_kernel *kernel, const swl_product *product,
                        size_t images) {
  return ceiling(images * product->height * product->width,
                 product->pooled ? kernel->pooled : kernel->rows);
}

static size_t blocks(const swl_product_kernel *kernel, const swl_product *product) {
  return ceiling(product->columns, 2 * kernel->lanes * product->block);
}

size_t swl_product_items(const swl_product_kernel *kernel, const swl_product *product,
                         size_t images) {
  return row_tiles(kernel, product, images) * blocks(kernel, product);
}

/* The positions of the rows of one tile. */
typedef struct {
  const uint8_t *in[SWL_TILE_MAX_ROWS], *addend[SWL_TILE_MAX_ROWS];
  uint8_t *out[SWL_TILE_MAX_ROWS];
} rows;

/* The next output pixel. */
typedef struct {
  size_t x, y, image;
} position;

static position position_of(const swl_product *p, size_t pixel) {
  const size_t line = pixel / p->width;
  return (position){pixel % p->width, line % p->height, line / p->height};
}

static void advance(position *at, const swl_product *p, size_t steps) {
  at->x += steps;
  if (at->x < p->width) return;
  at->x = 0;
  if (++at->y == p->height) at->y = 0, at->image++;
}

/* The rows of a tile of `count` pixels, of at most `most`, starting at a position, which is
 * advanced past them. */
static void locate(rows *rows, const swl_product *p, const uint8_t *in, const uint8_t *addend,
                   uint8_t *out, position *at, size_t count, size_t most) {
  for (size_t r = 0; r < count;) {
    const ptrdiff_t i = (ptrdiff_t)at->image, j = (ptrdiff_t)at->y, k = (ptrdiff_t)at->x;
    const uint8_t *source = in + i * p->in_image + j * p->in_y + k * p->in_x;
    uint8_t *target = out + i * p->out_image + j * p->out_y + k * p->out_x;
    const uint8_t *other =
        addend ? addend + i * p->addend_image + j * p->addend_y + k * p->addend_x : NULL;
    /* Up to the end of the line. */
    const size_t rest = p->width - at->x, steps = rest < count - r ? rest : count - r;
    for (size_t end = r + steps; r < end; r++) {
      rows->in[r] = source;
      rows->out[r] = target;
      rows->addend[r] = other;
      source += p->in_x, target += p->out_x;
      if (other) other += p->addend_x;
    }
    advance(at, p, steps);
  }
  /* Tiles have only a few heights: missing rows repeat the last one. */
  for (size_t r = count; r < most; r++) {
    rows->in[r] = rows->in[count - 1];
    rows->out[r] = rows->out[count - 1];
    rows->addend[r] = rows->addend[count - 1];
  }
}

/* The same if four windows make one pixel. */
static void locate_pooled(rows *rows, const swl_product *p, const uint8_t *in, uint8_t *out,
                          position *at, size_t count, size_t most) {
  for (size_t r = 0; r < most; r++) {
    const ptrdiff_t i = (ptrdiff_t)at->image, j = (ptrdiff_t)at->y, k = (ptrdiff_t)at->x;
    const uint8_t *source = in + i * p->in_image + 2 * j * p->in_y + 2 * k * p->in_x;
    rows->in[4 * r] = source;
    rows->in[4 * r + 1] = source + p->in_x;
    rows->in[4 * r + 2] = source + p->in_y;
    rows->in[4 * r + 3] = source + p->in_y + p->in_x;
    rows->out[r] = out + i * p->out_image + j * p->out_y + k * p->out_x;
    /* Missing pixels repeat the last one. */
    if (r + 1 < count) advance(at, p, 1);
  }
  advance(at, p, 1);
}

void swl_product_run(const swl_product_kernel *kernel, const swl_product *product, const void *in,
                     const void *addend, void *out, size_t images, size_t first, size_t last) {
  const size_t pixels = images * product->height * product->width;
  const size_t tiles = row_tiles(kernel, product, images);
  const size_t panel = 2 * kernel->lanes, block = panel * product->block;
  const size_t words = product->outer * product->inner * product->words;
  while (first < last) {
    /* The tiles of one block of columns. */
    const size_t start = first / tiles * block;
    const size_t end = start + block < product->columns ? start + block : product->columns;
    size_t tile = first % tiles;
    const size_t rest = tiles - tile, stop = rest < last - first ? tiles : tile + (last - first);
    first += stop - tile;
    position at = position_of(product, pixels / tiles * tile +
                                           (tile < pixels % tiles ? tile : pixels % tiles));
    for (; tile < stop; tile++) {
      const size_t count = pixels / tiles + (tile < pixels % tiles);
      rows rows;
      if (product->pooled)
        locate_pooled(&rows, product, in, out, &at, count, kernel->pooled);
      else
        locate(&rows, product, in, addend, out, &at, count, kernel->rows);
      for (size_t column = start; column < end; column += panel) {
        const uint8_t *weights = (const uint8_t *)product->weights + 4 * words * column;
        const size_t vectors = product->columns - column > kernel->lanes ? 2 : 1;
        const swl_tile_fn tile = product->pooled ? kernel->pooled_tiles[vectors - 1][count - 1]
                                                 : kernel->tiles[vectors - 1][count - 1];
        tile(product, rows.in, weights, column, count, rows.out, addend ? rows.addend : NULL);
      }
    }
  }
}
