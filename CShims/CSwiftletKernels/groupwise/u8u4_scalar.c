/* SPDX-License-Identifier: Apache-2.0 */

#include "groupwise.h"

#include "lanes4.h"

typedef int32_t swl_sums __attribute__((vector_size(4 * LANES)));
typedef struct {
  int8_t at[LANES][4];
} swl_codes;

LANE_FN swl_sums load_sums(const uint8_t *p) {
  swl_sums sums;
  memcpy(&sums, p, sizeof sums);
  return sums;
}
LANE_FN vf from_sums(swl_sums sums) {
  return __builtin_convertvector(sums, vf);
}
LANE_FN swl_codes replicated(const uint8_t *p) {
  swl_codes zeros;
  for (int i = 0; i < LANES; i++)
    for (int e = 0; e < 4; e++) zeros.at[i][e] = (int8_t)p[i];
  return zeros;
}
LANE_FN swl_codes half(const uint8_t *p, int shift, swl_codes zeros) {
  for (int i = 0; i < LANES; i++)
    for (int e = 0; e < 4; e++)
      zeros.at[i][e] = (int8_t)((p[4 * i + e] >> shift & 15) - zeros.at[i][e]);
  return zeros;
}
LANE_FN swl_codes lower(const uint8_t *p, swl_codes zeros) { return half(p, 0, zeros); }
LANE_FN swl_codes upper(const uint8_t *p, swl_codes zeros) { return half(p, 4, zeros); }
LANE_FN swl_sums dot(swl_sums sums, uint32_t inputs, swl_codes factors) {
  for (int i = 0; i < LANES; i++)
    for (int e = 0; e < 4; e++) sums[i] += (int32_t)(inputs >> 8 * e & 255) * factors.at[i][e];
  return sums;
}

#include "tile_u8u4.inc"

SWL_TILE(1, 1)
SWL_TILE(2, 1)

#define TILES {{tile_any_1x1}, {tile_any_2x1}}

const swl_groupwise_kernel swl_groupwise_u8u4__scalar = {
    SWL_TYPED_HEAD(u8u4, scalar), SWL_GROUPWISE_U8U4, LANES, {TILES, TILES}};
