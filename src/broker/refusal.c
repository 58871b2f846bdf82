/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/refusal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void refusal_set(struct refusal *refusal, enum refusal_kind kind, const char *format, ...)
{
	va_list args;

	refusal->kind = kind;
	va_start(args, format);
	vsnprintf(refusal->message, sizeof(refusal->message), format, args);
	va_end(args);
}

void bystanders_clear(struct bystanders *bystanders)
{
	free(bystanders->list);
	*bystanders = (struct bystanders){ 0 };
}

void refusal_clear(struct refusal *refusal)
{
	free(refusal->file);
	free(refusal->label);
	free(refusal->other_label);
	verdict_clear(&refusal->verdict);
	bystanders_clear(&refusal->bystanders);
	*refusal = (struct refusal){ 0 };
}
