#include "layers.h"

#define SWL_VARIANT scalar
#define SWL_TARGET
#include "body.inc"
