/* SPDX-License-Identifier: Apache-2.0 */

#include "groupwise.h"

#if defined(__x86_64__)
#include "../lanes/avx2.h"

typedef __m256i swl_sums, swl_codes;

LANE_FN swl_sums load_sums(const uint8_t *p) {
  return _mm256_loadu_si256((const __m256i *)p);
}
LANE_FN vf from_sums(swl_sums sums) { return _mm256_cvtepi32_ps(sums); }
/* Each byte four times. */
LANE_FN swl_codes replicated(const uint8_t *p) {
  const __m256i lanes = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
  const __m128i first = _mm_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12);
  return _mm256_shuffle_epi8(lanes, _mm256_broadcastsi128_si256(first));
}
LANE_FN swl_codes lower(const uint8_t *p, swl_codes zeros) {
  const __m256i codes = _mm256_loadu_si256((const __m256i *)p);
  return _mm256_sub_epi8(_mm256_and_si256(codes, _mm256_set1_epi8(15)), zeros);
}
LANE_FN swl_codes upper(const uint8_t *p, swl_codes zeros) {
  const __m256i codes = _mm256_srli_epi16(_mm256_loadu_si256((const __m256i *)p), 4);
  return _mm256_sub_epi8(_mm256_and_si256(codes, _mm256_set1_epi8(15)), zeros);
}
/* Factors are within -15 ... 15, so that two products fit 16 bits: vpmaddubsw does not saturate. */
LANE_FN swl_sums dot(swl_sums sums, uint32_t inputs, swl_codes factors) {
  const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi32((int32_t)inputs), factors);
  return _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

#include "tile_u8u4.inc"

SWL_TILE(1, 1)
SWL_TILE(1, 2)
SWL_TILE(2, 1)
SWL_TILE(2, 2)
SWL_TILE(4, 1)

#define TILES \
  {{tile_any_1x1, tile_any_1x2}, {tile_any_2x1, tile_any_2x2}, {NULL}, {tile_any_4x1}}

const swl_groupwise_kernel swl_groupwise_u8u4__avx2 = {
    SWL_TYPED_HEAD(u8u4, avx2), SWL_GROUPWISE_U8U4, LANES, {TILES, TILES}};

#endif
