#include <string.h>

#include "groupwise.h"

#pragma STDC FP_CONTRACT OFF

#define SWL_TARGET
#define SWL_LANES 4
#define SWL_OPERATION static inline __attribute__((always_inline))

/* Operators on vectors of this kind work without any instructions for them. */
typedef float swl_vector __attribute__((vector_size(4 * SWL_LANES)));
typedef uint32_t swl_codes __attribute__((vector_size(4 * SWL_LANES)));

SWL_OPERATION swl_vector set(float x) { return (swl_vector){x, x, x, x}; }
SWL_OPERATION swl_vector load(const float *p) {
  swl_vector v;
  memcpy(&v, p, sizeof v);
  return v;
}
SWL_OPERATION swl_vector zero_points(const uint8_t *p) {
  return (swl_vector){p[0], p[1], p[2], p[3]};
}
SWL_OPERATION swl_vector multiply_add(swl_vector a, swl_vector b, swl_vector c) {
  return a * b + c;
}
/* Written so that NaN sums stay NaN. */
SWL_OPERATION swl_vector limit(swl_vector v, float low, float high) {
  for (int i = 0; i < SWL_LANES; i++) {
    const float raised = v[i] < low ? low : v[i];
    v[i] = raised > high ? high : raised;
  }
  return v;
}
SWL_OPERATION void store(float *p, swl_vector v, size_t left) {
  memcpy(p, &v, 4 * (left < SWL_LANES ? left : SWL_LANES));
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

#include "tile.inc"

SWL_TILE(1, 1)
SWL_TILE(2, 1)

const swl_groupwise_kernel swl_groupwise_scalar = {
    "f32u4 scalar", SWL_ISA_SCALAR, SWL_LANES,
    {{{tile_own_1x1}, {tile_own_2x1}}, {{tile_common_1x1}, {tile_common_2x1}}}};
