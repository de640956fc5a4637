/* SPDX-License-Identifier: Apache-2.0 */

#include "groupwise.h"

#include "lanes4.h"

typedef uint32_t swl_codes __attribute__((vector_size(4 * LANES)));

LANE_FN vf zero_points(const uint8_t *p) {
  return (vf){p[0], p[1], p[2], p[3]};
}
LANE_FN swl_codes load_codes(const uint8_t *p) {
  swl_codes codes;
  memcpy(&codes, p, sizeof codes);
  return codes;
}
LANE_FN vf origin(float zero) { return vf_set(zero); }
LANE_FN vf decoded(swl_codes codes, int i, vf zero) {
  return __builtin_convertvector(codes >> (uint32_t)(4 * i) & 15, vf) - zero;
}

#include "tile_f32u4.inc"

SWL_TILE(1, 1)
SWL_TILE(2, 1)

const swl_groupwise_kernel swl_groupwise_f32u4__scalar = {
    SWL_TYPED_HEAD(f32u4, scalar), SWL_GROUPWISE_F32U4, LANES,
    {{{tile_own_1x1}, {tile_own_2x1}}, {{tile_common_1x1}, {tile_common_2x1}}}};
