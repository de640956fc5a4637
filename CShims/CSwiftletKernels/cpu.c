/* SPDX-License-Identifier: Apache-2.0 */

#include "swiftlet_kernels.h"

#if defined(__x86_64__)

#define SWL_FEATURES(X) \
  X("sse4.2") X("avx") X("avx2") X("fma") X("avx512f") X("avx512bw") X("avx512vl") X("avx512dq") \
  X("avx512vnni") X("avxvnni") X("avx512bf16") X("amx-int8")

#define SWL_NAME(name) name,
static const char *const names[] = {SWL_FEATURES(SWL_NAME)};

bool swl_cpu_has_feature(int index) {
  int next = 0;
#define SWL_TEST(name) \
  if (index == next++) return __builtin_cpu_supports(name) != 0;
  SWL_FEATURES(SWL_TEST)
  return false;
}

int swl_cpu_feature_count(void) { return (int)(sizeof names / sizeof names[0]); }

const char *swl_cpu_feature_name(int index) { return names[index]; }

swl_isa swl_isa_supported(void) {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return SWL_ISA_SCALAR;
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq"))
    return SWL_ISA_AVX2;
  return __builtin_cpu_supports("avx512vnni") ? SWL_ISA_AVX512VNNI : SWL_ISA_AVX512;
}

#else

bool swl_cpu_has_feature(int index) { return false; }
int swl_cpu_feature_count(void) { return 0; }
const char *swl_cpu_feature_name(int index) { return ""; }
swl_isa swl_isa_supported(void) { return SWL_ISA_SCALAR; }

#endif
