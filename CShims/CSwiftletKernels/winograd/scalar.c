#define SWL_VARIANT scalar
#include "../lanes/scalar.h"
#include "winograd.inc"
