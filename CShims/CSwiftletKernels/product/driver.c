#include <string.h>

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

/* Row tiles of equal height, as few as there can be. */
static size_t row_tiles(const swl_product_kernel *kernel, const swl_product *product,
                        size_t images) {
  return ceiling(images * product->height * product->width, kernel->rows);
}

static size_t blocks(const swl_product_kernel *kernel, const swl_product *product) {
  return ceiling(product->columns, 2 * kernel->lanes * product->block);
}

size_t swl_product_items(const swl_product_kernel *kernel, const swl_product *product,
                         size_t images) {
  return row_tiles(kernel, product, images) * blocks(kernel, product);
}

/* Where the rows of one tile lie. */
typedef struct {
  const uint8_t *in[SWL_TILE_MAX_ROWS], *addend[SWL_TILE_MAX_ROWS];
  uint8_t *out[SWL_TILE_MAX_ROWS];
} rows;

static void locate(rows *rows, const swl_product *p, const uint8_t *in, const uint8_t *addend,
                   uint8_t *out, size_t first, size_t count) {
  size_t x = first % p->width, rest = first / p->width;
  size_t y = rest % p->height, image = rest / p->height;
  for (size_t r = 0; r < SWL_TILE_MAX_ROWS; r++) {
    const ptrdiff_t i = (ptrdiff_t)image, j = (ptrdiff_t)y, k = (ptrdiff_t)x;
    rows->in[r] = in + i * p->in_image + j * p->in_y + k * p->in_x;
    rows->out[r] = out + i * p->out_image + j * p->out_y + k * p->out_x;
    if (addend) rows->addend[r] = addend + i * p->addend_image + j * p->addend_y + k * p->addend_x;
    if (r + 1 >= count) continue;
    if (++x == p->width) {
      x = 0;
      if (++y == p->height) y = 0, image++;
    }
  }
}

void swl_product_run(const swl_product_kernel *kernel, const swl_product *product, const void *in,
                     const void *addend, void *out, size_t images, size_t first, size_t last) {
  const size_t pixels = images * product->height * product->width;
  const size_t tiles = row_tiles(kernel, product, images);
  const size_t panel = 2 * kernel->lanes, block = panel * product->block;
  const size_t words = product->outer * product->inner * product->words;
  for (size_t item = first; item < last; item++) {
    const size_t tile = item % tiles, start = item / tiles * block;
    const size_t pixel = pixels * tile / tiles, count = pixels * (tile + 1) / tiles - pixel;
    rows rows;
    locate(&rows, product, in, addend, out, pixel, count);
    const size_t end = start + block < product->columns ? start + block : product->columns;
    for (size_t column = start; column < end; column += panel) {
      const uint8_t *weights = (const uint8_t *)product->weights + 4 * words * column;
      const size_t vectors = product->columns - column > kernel->lanes ? 2 : 1;
      kernel->tiles[vectors - 1][count - 1](product, rows.in, weights, column, count, rows.out,
                                            addend ? rows.addend : NULL);
    }
  }
}
