/* SPDX-License-Identifier: Apache-2.0 */

#include "groupwise.h"

#if defined(__x86_64__)
#define SWL_AVX512VNNI 1
#include "../lanes/avx512.h"

typedef __m512i swl_sums, swl_codes;

LANE_FN swl_sums load_sums(const uint8_t *p) { return _mm512_loadu_si512(p); }
LANE_FN vf from_sums(swl_sums sums) { return _mm512_cvtepi32_ps(sums); }
/* Each byte four times. */
LANE_FN swl_codes replicated(const uint8_t *p) {
  const __m512i lanes = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
  const __m128i first = _mm_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12);
  return _mm512_shuffle_epi8(lanes, _mm512_broadcast_i32x4(first));
}
LANE_FN swl_codes lower(const uint8_t *p, swl_codes zeros) {
  const __m512i codes = _mm512_loadu_si512(p);
  return _mm512_sub_epi8(_mm512_and_si512(codes, _mm512_set1_epi8(15)), zeros);
}
LANE_FN swl_codes upper(const uint8_t *p, swl_codes zeros) {
  const __m512i codes = _mm512_srli_epi16(_mm512_loadu_si512(p), 4);
  return _mm512_sub_epi8(_mm512_and_si512(codes, _mm512_set1_epi8(15)), zeros);
}
LANE_FN swl_sums dot(swl_sums sums, uint32_t inputs, swl_codes factors) {
  return _mm512_dpbusd_epi32(sums, _mm512_set1_epi32((int32_t)inputs), factors);
}

#include "tile_u8u4.inc"

SWL_TILE(1, 1)
SWL_TILE(1, 2)
SWL_TILE(1, 4)
SWL_TILE(2, 1)
SWL_TILE(2, 2)
SWL_TILE(2, 4)
SWL_TILE(4, 1)
SWL_TILE(4, 2)
SWL_TILE(6, 1)
SWL_TILE(6, 2)
SWL_TILE(8, 1)
SWL_TILE(8, 2)
SWL_TILE(12, 1)
SWL_TILE(12, 2)

#define TILES                                                                             \
  {{tile_any_1x1, tile_any_1x2, tile_any_1x4}, {tile_any_2x1, tile_any_2x2, tile_any_2x4}, \
   {NULL}, {tile_any_4x1, tile_any_4x2}, {NULL}, {tile_any_6x1, tile_any_6x2}, {NULL},     \
   {tile_any_8x1, tile_any_8x2}, {NULL}, {NULL}, {NULL}, {tile_any_12x1, tile_any_12x2}}

const swl_groupwise_kernel swl_groupwise_u8u4__avx512vnni = {
    SWL_TYPED_HEAD(u8u4, avx512vnni), SWL_GROUPWISE_U8U4, LANES, {TILES, TILES}};

#endif
