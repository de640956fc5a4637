/* SPDX-License-Identifier: Apache-2.0 */

#include "swiftlet_images.h"
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* A weight is high·2¹⁴ + low: sums of products of both with pixels are kept apart, so that 16-bit
 * multiplication, which every processor has, gives all 32 bits. Sums wrap around, and end in range.
 */
enum { FRACTION_BITS = 22, LOW_BITS = 14, HALF = 1 << (FRACTION_BITS - 1) };

static uint8_t clamped(int32_t sum) {
  sum >>= FRACTION_BITS;
  return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

/* The sum of `count` bytes, `step` apart, each times its weight. */
static uint8_t weighted(const uint8_t *source, size_t step, const int16_t *high, const int16_t *low,
                        int count) {
  uint32_t sum = HALF;
  for (int i = 0; i < count; i++) {
    int32_t weight = high[i] * (1 << LOW_BITS) + low[i];
    sum += (uint32_t)(source[(size_t)i * step] * weight);
  }
  return clamped((int32_t)sum);
}

#ifdef __SSE2__
struct sums {
  __m128i high, low;
};

/* Adds products of 4 pairs of 16-bit numbers with a pair of weights. */
static void add(struct sums *sums, __m128i pairs, __m128i high, __m128i low) {
  sums->high = _mm_add_epi32(sums->high, _mm_madd_epi16(pairs, high));
  sums->low = _mm_add_epi32(sums->low, _mm_madd_epi16(pairs, low));
}

static __m128i finished(struct sums sums) {
  __m128i sum = _mm_add_epi32(_mm_slli_epi32(sums.high, LOW_BITS), sums.low);
  return _mm_srai_epi32(_mm_add_epi32(sum, _mm_set1_epi32(HALF)), FRACTION_BITS);
}

static __m128i both(const int16_t *weights) {
  int32_t pair;
  memcpy(&pair, weights, sizeof pair);
  return _mm_set1_epi32(pair);
}

/* The first 4 bytes of each, in pairs. */
static __m128i paired(const uint8_t *first, const uint8_t *second) {
  int32_t a, b;
  memcpy(&a, first, sizeof a);
  memcpy(&b, second, sizeof b);
  __m128i bytes = _mm_unpacklo_epi8(_mm_cvtsi32_si128(a), _mm_cvtsi32_si128(b));
  return _mm_unpacklo_epi8(bytes, _mm_setzero_si128());
}

/* One pixel of 3 or 4 channels. Pixels after the window have no weight; 4 bytes of one may be read
 * if another one follows it. */
static inline __attribute__((always_inline)) void weighted_pixel(const uint8_t *source,
                                                                 size_t channels, int following,
                                                                 const int16_t *high,
                                                                 const int16_t *low, int count,
                                                                 uint8_t *target) {
  struct sums sums = {_mm_setzero_si128(), _mm_setzero_si128()};
  int i = 0;
  for (; i < count && i + 2 < count + following; i += 2) {
    const uint8_t *pixel = source + (size_t)i * channels;
    add(&sums, paired(pixel, pixel + channels), both(high + i), both(low + i));
  }
  for (; i < count; i += 2) {
    uint8_t last[8] = {0};
    memcpy(last, source + (size_t)i * channels, (i + 2 <= count ? 2 : 1) * channels);
    add(&sums, paired(last, last + channels), both(high + i), both(low + i));
  }
  __m128i words = _mm_packs_epi32(finished(sums), _mm_setzero_si128());
  int32_t bytes = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
  memcpy(target, &bytes, channels);
}

/* 16 bytes of a row. */
static void weighted_bytes(const uint8_t *source, size_t length, const int16_t *high,
                           const int16_t *low, int count, uint8_t *target) {
  const __m128i zero = _mm_setzero_si128();
  struct sums sums[4] = {{zero, zero}, {zero, zero}, {zero, zero}, {zero, zero}};
  for (int i = 0; i < count; i += 2) {
    const uint8_t *row = source + (size_t)i * length;
    __m128i a = _mm_loadu_si128((const __m128i *)row);
    __m128i b = i + 1 < count ? _mm_loadu_si128((const __m128i *)(row + length)) : zero;
    __m128i left = _mm_unpacklo_epi8(a, b), right = _mm_unpackhi_epi8(a, b);
    __m128i highs = both(high + i), lows = both(low + i);
    add(&sums[0], _mm_unpacklo_epi8(left, zero), highs, lows);
    add(&sums[1], _mm_unpackhi_epi8(left, zero), highs, lows);
    add(&sums[2], _mm_unpacklo_epi8(right, zero), highs, lows);
    add(&sums[3], _mm_unpackhi_epi8(right, zero), highs, lows);
  }
  __m128i left = _mm_packs_epi32(finished(sums[0]), finished(sums[1]));
  __m128i right = _mm_packs_epi32(finished(sums[2]), finished(sums[3]));
  _mm_storeu_si128((__m128i *)target, _mm_packus_epi16(left, right));
}
#else
static void weighted_pixel(const uint8_t *source, size_t channels, int following,
                           const int16_t *high, const int16_t *low, int count, uint8_t *target) {
  (void)following;
  for (size_t c = 0; c < channels; c++) {
    target[c] = weighted(source + c, channels, high, low, count);
  }
}

static void weighted_bytes(const uint8_t *source, size_t length, const int16_t *high,
                           const int16_t *low, int count, uint8_t *target) {
  for (size_t x = 0; x < 16; x++) {
    target[x] = weighted(source + x, length, high, low, count);
  }
}
#endif

void swl_resample_row(const uint8_t *source, int width, int channels,
                      const struct swl_windows *windows, uint8_t *target) {
  for (int place = 0; place < windows->places; place++) {
    int start = windows->starts[place], count = windows->counts[place];
    const int16_t *high = windows->high + (size_t)place * (size_t)windows->stride;
    const int16_t *low = windows->low + (size_t)place * (size_t)windows->stride;
    const uint8_t *pixel = source + (size_t)start * (size_t)channels;
    if (channels == 1) {
      target[place] = weighted(pixel, 1, high, low, count);
    } else if (channels == 3) {
      weighted_pixel(pixel, 3, width - start - count, high, low, count, target + 3 * (size_t)place);
    } else {
      weighted_pixel(pixel, 4, width - start - count, high, low, count, target + 4 * (size_t)place);
    }
  }
}

void swl_combine_rows(const uint8_t *source, size_t length, const struct swl_windows *windows,
                      int place, uint8_t *target) {
  int count = windows->counts[place];
  const int16_t *high = windows->high + (size_t)place * (size_t)windows->stride;
  const int16_t *low = windows->low + (size_t)place * (size_t)windows->stride;
  size_t x = 0;
  for (; x + 16 <= length; x += 16) {
    weighted_bytes(source + x, length, high, low, count, target + x);
  }
  for (; x < length; x++) target[x] = weighted(source + x, length, high, low, count);
}
