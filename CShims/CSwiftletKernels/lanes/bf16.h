/* SPDX-License-Identifier: Apache-2.0 */

/* fp32 rounded to bf16, its upper half: to the nearest, ties to even. NaN stays NaN, quiet, with its
 * sign and the upper half of its payload; numbers below 2^-126 become zeros of their sign. These are
 * the results of vcvtneps2bf16, on every instruction set. */
#pragma once
#include <stdint.h>
#include <string.h>

static inline uint16_t swl_bf16(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  if (x != x) return (uint16_t)(bits >> 16 | 0x40);
  if ((bits & 0x7f800000) == 0) return (uint16_t)(bits >> 16 & 0x8000);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline float swl_from_bf16(uint16_t x) {
  const uint32_t bits = (uint32_t)x << 16;
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

#if defined(__x86_64__)
#include <immintrin.h>

#define SWL_BF16_TARGET256 __attribute__((target("avx2,fma"), always_inline)) static inline

/* In the lower half of each lane. */
SWL_BF16_TARGET256 __m256i swl_bf16_lanes8(__m256 v) {
  const __m256i bits = _mm256_castps_si256(v), upper = _mm256_srli_epi32(bits, 16);
  const __m256i odd = _mm256_and_si256(upper, _mm256_set1_epi32(1));
  const __m256i half = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
  const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, half), 16);
  const __m256i quiet = _mm256_or_si256(upper, _mm256_set1_epi32(0x40));
  const __m256i sign = _mm256_and_si256(upper, _mm256_set1_epi32(0x8000));
  const __m256i exponent = _mm256_and_si256(bits, _mm256_set1_epi32(0x7f800000));
  const __m256i tiny = _mm256_cmpeq_epi32(exponent, _mm256_setzero_si256());
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
  const __m256i number = _mm256_blendv_epi8(rounded, sign, tiny);
  return _mm256_blendv_epi8(number, quiet, nan);
}

SWL_BF16_TARGET256 __m128i swl_bf16x8(__m256 v) {
  const __m256i all = swl_bf16_lanes8(v);
  return _mm_packus_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
}

SWL_BF16_TARGET256 __m256 swl_from_bf16x8(__m128i v) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(v), 16));
}

#define SWL_BF16_TARGET512 \
  __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq"), always_inline)) static inline

SWL_BF16_TARGET512 __m512i swl_bf16_lanes16(__m512 v) {
  const __m512i bits = _mm512_castps_si512(v), upper = _mm512_srli_epi32(bits, 16);
  const __m512i odd = _mm512_and_si512(upper, _mm512_set1_epi32(1));
  const __m512i half = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff));
  const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
  const __mmask16 tiny = _mm512_testn_epi32_mask(bits, _mm512_set1_epi32(0x7f800000));
  __m512i all = _mm512_srli_epi32(_mm512_add_epi32(bits, half), 16);
  all = _mm512_mask_and_epi32(all, tiny, upper, _mm512_set1_epi32(0x8000));
  return _mm512_mask_or_epi32(all, nan, upper, _mm512_set1_epi32(0x40));
}

SWL_BF16_TARGET512 __m256i swl_bf16x16(__m512 v) {
  return _mm512_cvtepi32_epi16(swl_bf16_lanes16(v));
}

/* One permutation puts each number into the upper half of a lane. */
SWL_BF16_TARGET512 __m512 swl_from_bf16x16(__m256i v) {
  const __m512i places = _mm512_set_epi16(15, 0, 14, 0, 13, 0, 12, 0, 11, 0, 10, 0, 9, 0, 8, 0, 7,
                                          0, 6, 0, 5, 0, 4, 0, 3, 0, 2, 0, 1, 0, 0, 0);
  return _mm512_castsi512_ps(
      _mm512_maskz_permutexvar_epi16(0xaaaaaaaa, places, _mm512_castsi256_si512(v)));
}
#endif
