/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The words the kernel uses for what struct device holds as bits. Owns nothing. */
#include "topology/device.h"

static const char *const reset_names[] = {
	"device_specific", "acpi", "flr", "af_flr", "pm", "bus", "cxl_bus",
};

const char *reset_method_name(enum reset_method method)
{
	for (size_t i = 0; i < ARRAY_SIZE(reset_names); i++) {
		if ((unsigned int)method == 1U << i)
			return reset_names[i];
	}
	return NULL;
}
