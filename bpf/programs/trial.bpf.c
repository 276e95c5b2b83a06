/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Loaded to find out whether this kernel lets its own functions be traced; lockdown, for one, forbids it. */
#include "kernel_types.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("fentry/fd_install")
int trial(void *ctx)
{
	return 0;
}
