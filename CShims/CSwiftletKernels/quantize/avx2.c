/* SPDX-License-Identifier: Apache-2.0 */

#include "quantize.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define SWL_AVX2 __attribute__((target("avx2")))

/* Eight quotients, rounded and shifted by the zero point, as int32. */
SWL_AVX2 static inline __m256i quantized8(const float *x, __m256 scale, __m256i zero_point) {
  __m256 quotient = _mm256_div_ps(_mm256_loadu_ps(x), scale);
  __m256 number = _mm256_cmp_ps(quotient, quotient, _CMP_ORD_Q);
  quotient = _mm256_min_ps(_mm256_max_ps(quotient, _mm256_set1_ps(-1024)), _mm256_set1_ps(1024));
  __m256i rounded = _mm256_cvtps_epi32(_mm256_and_ps(quotient, number));
  return _mm256_add_epi32(rounded, zero_point);
}

/* Sixteen int32 in order, as int16; the clamp above makes saturation unnecessary. */
SWL_AVX2 static inline __m256i packed16(__m256i low, __m256i high) {
  return _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xd8);
}

SWL_AVX2 static void quantize_f32_u8(size_t count, const float *x, float scale, int32_t zero_point,
                                     uint8_t *q) {
  __m256 s = _mm256_set1_ps(scale);
  __m256i z = _mm256_set1_epi32(zero_point);
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    __m256i words = packed16(quantized8(x + i, s, z), quantized8(x + i + 8, s, z));
    __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words),
                                     _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128((__m128i *)(q + i), bytes);
  }
  swl_quantize__scalar.quantize_f32_u8(count - i, x + i, scale, zero_point, q + i);
}

SWL_AVX2 static void quantize_f32_s8(size_t count, const float *x, float scale, int32_t zero_point,
                                     int8_t *q) {
  __m256 s = _mm256_set1_ps(scale);
  __m256i z = _mm256_set1_epi32(zero_point);
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    __m256i words = packed16(quantized8(x + i, s, z), quantized8(x + i + 8, s, z));
    __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(words),
                                    _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128((__m128i *)(q + i), bytes);
  }
  swl_quantize__scalar.quantize_f32_s8(count - i, x + i, scale, zero_point, q + i);
}

SWL_AVX2 static void dequantize_u8_f32(size_t count, const uint8_t *q, float scale,
                                       int32_t zero_point, float *x) {
  __m256 s = _mm256_set1_ps(scale);
  __m256i z = _mm256_set1_epi32(zero_point);
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    __m256i wide = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(q + i)));
    _mm256_storeu_ps(x + i, _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_sub_epi32(wide, z)), s));
  }
  swl_quantize__scalar.dequantize_u8_f32(count - i, q + i, scale, zero_point, x + i);
}

SWL_AVX2 static void dequantize_s8_f32(size_t count, const int8_t *q, float scale,
                                       int32_t zero_point, float *x) {
  __m256 s = _mm256_set1_ps(scale);
  __m256i z = _mm256_set1_epi32(zero_point);
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    __m256i wide = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(q + i)));
    _mm256_storeu_ps(x + i, _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_sub_epi32(wide, z)), s));
  }
  swl_quantize__scalar.dequantize_s8_f32(count - i, q + i, scale, zero_point, x + i);
}

const swl_quantize_kernel swl_quantize__avx2 = {
    SWL_HEAD(avx2),
    .quantize_f32_u8 = quantize_f32_u8,
    .quantize_f32_s8 = quantize_f32_s8,
    .dequantize_u8_f32 = dequantize_u8_f32,
    .dequantize_s8_f32 = dequantize_s8_f32,
};

#endif
