#include "product.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define SWL_TARGET __attribute__((target("avx2,fma,avxvnni")))
#define SWL_LANES 8

typedef __m256i swl_sums, swl_weights, swl_inputs;

SWL_INLINE swl_sums first_sums(const swl_product *product, size_t column) {
  return _mm256_loadu_si256((const __m256i *)((const int32_t *)product->bias + column));
}
SWL_INLINE swl_weights load_weights(const uint8_t *p) {
  return _mm256_loadu_si256((const __m256i *)p);
}
SWL_INLINE swl_inputs load_inputs(const uint8_t *p) {
  return _mm256_set1_epi32(*(const int32_t *)p);
}
SWL_INLINE swl_sums multiply_add(swl_sums sums, swl_inputs inputs, swl_weights weights) {
  return _mm256_dpbusd_avx_epi32(sums, inputs, weights);
}
SWL_INLINE swl_sums larger_sums(swl_sums a, swl_sums b) { return _mm256_max_epi32(a, b); }

#include "u8s8_finish256.inc"

#include "tile.inc"

SWL_UP_TO_6

const swl_product_kernel swl_product_u8s8_avxvnni = {
    "u8s8 avxvnni", SWL_ISA_AVX2, "avxvnni", SWL_PRODUCT_U8S8, SWL_LANES, SWL_TABLE_6};

#endif
