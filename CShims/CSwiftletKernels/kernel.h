/* SPDX-License-Identifier: Apache-2.0 */

/* What kernels are called; CONTRIBUTING.md, "Naming kernels", has the rule. */
#pragma once
#include <stddef.h>

#include "include/swiftlet_isa.h"

/* All instruction sets that kernels are named after: the tier, and the CPU feature that the tier
 * does not include. */
#define SWL_NEEDS_scalar SWL_ISA_SCALAR, NULL
#define SWL_NEEDS_avx2 SWL_ISA_AVX2, NULL
#define SWL_NEEDS_avxvnni SWL_ISA_AVX2, "avxvnni"
#define SWL_NEEDS_avx512 SWL_ISA_AVX512, NULL
#define SWL_NEEDS_avx512vnni SWL_ISA_AVX512VNNI, NULL
/* In the highest tier: CPUs with these instructions have VNNI. */
#define SWL_NEEDS_avx512bf16 SWL_ISA_AVX512VNNI, "avx512bf16"

/* How the table of a kernel begins: the name that users see, the tier, the feature. */
#define SWL_HEAD(isa) #isa, SWL_NEEDS_##isa
#define SWL_TYPED_HEAD(types, isa) #types " " #isa, SWL_NEEDS_##isa
