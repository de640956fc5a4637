/* SPDX-License-Identifier: Apache-2.0 */

#include "product.h"

#if defined(__x86_64__)
#include "../lanes/bf16.h"

/* Both halves of a word are converted to fp32, which is exact. */
#define SWL_TARGET __attribute__((target("avx2,fma")))
#define SWL_LANES 8

typedef __m256 swl_sums;
typedef struct {
  __m256 even, odd;
} swl_weights, swl_inputs;

SWL_INLINE swl_weights bf16_pairs_to_f32(__m256i words) {
  return (swl_weights){
      _mm256_castsi256_ps(_mm256_slli_epi32(words, 16)),
      _mm256_castsi256_ps(_mm256_and_si256(words, _mm256_set1_epi32((int32_t)0xffff0000)))};
}
SWL_INLINE swl_sums first_sums(const swl_product *product, size_t column) {
  return _mm256_loadu_ps((const float *)product->bias + column);
}
SWL_INLINE swl_weights load_weights(const uint8_t *p) {
  return bf16_pairs_to_f32(_mm256_loadu_si256((const __m256i *)p));
}
SWL_INLINE swl_inputs load_inputs(const uint8_t *p) {
  return bf16_pairs_to_f32(_mm256_set1_epi32(*(const int32_t *)p));
}
SWL_INLINE swl_sums multiply_add(swl_sums sums, swl_inputs inputs, swl_weights weights) {
  sums = _mm256_fmadd_ps(inputs.even, weights.even, sums);
  return _mm256_fmadd_ps(inputs.odd, weights.odd, sums);
}
SWL_INLINE swl_sums larger_sums(swl_sums a, swl_sums b) { return _mm256_max_ps(a, b); }

SWL_INLINE __m256 load_addend(const swl_product *product, const uint8_t *addend, size_t first,
                              size_t left) {
  const float *floats = (const float *)addend + first;
  const uint16_t *halves = (const uint16_t *)addend + first;
  if (left >= SWL_LANES)
    return product->addend_bf16 ? swl_from_bf16x8(_mm_loadu_si128((const __m128i *)halves))
                                : _mm256_loadu_ps(floats);
  if (!product->addend_bf16)
    return _mm256_maskload_ps(floats,
                              _mm256_cmpgt_epi32(_mm256_set1_epi32((int)left),
                                                 _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)));
  __m128i few = _mm_setzero_si128();
  memcpy(&few, halves, 2 * left);
  return swl_from_bf16x8(few);
}

/* max and min return the second operand if either is NaN: NaN sums stay NaN. */
SWL_INLINE void finish_vector(__m256 value, const swl_product *product, size_t first, uint8_t *out,
                              const uint8_t *addend) {
  const size_t left = product->columns - first;
  const __m256 low = _mm256_set1_ps(product->low), high = _mm256_set1_ps(product->high);
  if (addend) value = _mm256_add_ps(value, load_addend(product, addend, first, left));
  value = _mm256_min_ps(high, _mm256_max_ps(low, value));
  if (product->to_bf16) {
    const __m128i bf16 = swl_bf16x8(value);
    memcpy((uint16_t *)out + first, &bf16, left >= SWL_LANES ? 16 : 2 * left);
  } else {
    memcpy((float *)out + first, &value, left >= SWL_LANES ? 32 : 4 * left);
  }
}

#include "finish.inc"

#include "tile.inc"

SWL_UP_TO_4

const swl_product_kernel swl_product_bf16__avx2 = {
    SWL_TYPED_HEAD(bf16, avx2), SWL_PRODUCT_BF16, SWL_LANES, SWL_TABLE_4};

#endif
