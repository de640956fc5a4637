#include "product.h"

#define SWL_TARGET
#define SWL_LANES 8

typedef struct {
  float at[SWL_LANES];
} swl_sums, swl_weights;
typedef float swl_inputs;

SWL_INLINE swl_sums first_sums(const swl_product *product, size_t column) {
  return *(const swl_sums *)((const float *)product->bias + column);
}
SWL_INLINE swl_weights load_weights(const uint8_t *p) { return *(const swl_weights *)p; }
SWL_INLINE swl_inputs load_inputs(const uint8_t *p) { return *(const float *)p; }
SWL_INLINE swl_sums multiply_add(swl_sums sums, swl_inputs inputs, swl_weights weights) {
  for (int i = 0; i < SWL_LANES; i++) sums.at[i] += inputs * weights.at[i];
  return sums;
}
SWL_INLINE swl_sums larger_sums(swl_sums a, swl_sums b) {
  for (int i = 0; i < SWL_LANES; i++) a.at[i] = a.at[i] > b.at[i] ? a.at[i] : b.at[i];
  return a;
}

/* Written so that NaN sums stay NaN. */
SWL_INLINE void finish(const swl_sums *sums, size_t vectors, const swl_product *product,
                       size_t column, uint8_t *out, const uint8_t *addend) {
  for (size_t i = 0; i < vectors * SWL_LANES && column + i < product->columns; i++) {
    float value = sums[i / SWL_LANES].at[i % SWL_LANES];
    if (addend) value += ((const float *)addend)[column + i];
    value = value < product->low ? product->low : value;
    ((float *)out)[column + i] = value > product->high ? product->high : value;
  }
}

#include "tile.inc"

SWL_TILE_PAIR(1)
SWL_TILE_PAIR(2)
SWL_POOLED_PAIR(4)

const swl_product_kernel swl_product_f32_scalar = {
    "f32 scalar", SWL_ISA_SCALAR, NULL, SWL_PRODUCT_F32, SWL_LANES, 2,
    SWL_TILES(SWL_TILE_NAME, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2),
    1, SWL_POOLED(SWL_POOLED_NAME, 4, 4, 4)};
