#include "groupwise.h"

#pragma STDC FP_CONTRACT OFF

#define SWL_TARGET
#include "vector_scalar.h"

typedef uint32_t swl_codes __attribute__((vector_size(4 * SWL_LANES)));

SWL_OPERATION swl_vector zero_points(const uint8_t *p) {
  return (swl_vector){p[0], p[1], p[2], p[3]};
}
SWL_OPERATION swl_codes load_codes(const uint8_t *p) {
  swl_codes codes;
  memcpy(&codes, p, sizeof codes);
  return codes;
}
SWL_OPERATION swl_vector origin(float zero) { return set(zero); }
SWL_OPERATION swl_vector decoded(swl_codes codes, int i, swl_vector zero) {
  return __builtin_convertvector(codes >> (uint32_t)(4 * i) & 15, swl_vector) - zero;
}

#include "tile_f32.inc"

SWL_TILE(1, 1)
SWL_TILE(2, 1)

const swl_groupwise_kernel swl_groupwise_f32_scalar = {
    "f32u4 scalar", SWL_ISA_SCALAR, SWL_GROUPWISE_F32, SWL_LANES,
    {{{tile_own_1x1}, {tile_own_2x1}}, {{tile_common_1x1}, {tile_common_2x1}}}};
