/* SPDX-License-Identifier: Apache-2.0 */

#if defined(__x86_64__)
#define SWL_VARIANT avx2
#include "../lanes/avx2.h"
#include "winograd.inc"
#endif
