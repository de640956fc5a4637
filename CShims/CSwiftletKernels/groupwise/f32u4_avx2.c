/* SPDX-License-Identifier: Apache-2.0 */

#include "groupwise.h"

#if defined(__x86_64__)
#include "../lanes/avx2.h"

typedef __m256i swl_codes;

LANE_FN vf zero_points(const uint8_t *p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}
LANE_FN swl_codes load_codes(const uint8_t *p) {
  return _mm256_loadu_si256((const __m256i *)p);
}
LANE_FN vf origin(float zero) { return vf_set(zero); }
LANE_FN vf decoded(swl_codes codes, int i, vf zero) {
  const __m256i places = _mm256_srli_epi32(codes, 4 * i);
  return _mm256_cvtepi32_ps(_mm256_and_si256(places, _mm256_set1_epi32(15))) - zero;
}

#include "tile_f32u4.inc"

SWL_TILE(1, 1)
SWL_TILE(1, 2)
SWL_TILE(2, 1)
SWL_TILE(2, 2)
SWL_TILE(4, 1)

#define TILES(zeros)                                                            \
  {{tile_##zeros##_1x1, tile_##zeros##_1x2}, {tile_##zeros##_2x1, tile_##zeros##_2x2}, {NULL}, \
   {tile_##zeros##_4x1}}

const swl_groupwise_kernel swl_groupwise_f32u4__avx2 = {
    SWL_TYPED_HEAD(f32u4, avx2), SWL_GROUPWISE_F32U4, LANES, {TILES(own), TILES(common)}};

#endif
