/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The system calls of 32-bit programs, which any program can make (int $0x80): by their numbers, as which 64-bit call
 * they are recorded. Their arguments stand in the same order. What points to a structure of another layout is counted
 * as lost; what is not listed is not recorded of 64-bit programs either.
 */
#pragma once

#define COMPAT_CALLS 470
#define COMPAT_mmap 90
#define COMPAT_socketcall 102
#define COMPAT_ipc 117
#define IPC_SHMAT 21
#define SOCKETCALLS 21
/* 0 is no call. */
#define AS(nr) ((nr) + 1)
#define COMPAT_LOST 0xffff

static const __u16 compat_calls[COMPAT_CALLS] = {
	[3] = AS(0),	     /* read */
	[4] = AS(1),	     /* write */
	[5] = AS(2),	     /* open */
	[6] = AS(3),	     /* close */
	[8] = AS(85),	     /* creat */
	[9] = AS(86),	     /* link */
	[10] = AS(87),	     /* unlink */
	[11] = AS(59),	     /* execve */
	[14] = AS(133),	     /* mknod */
	[15] = AS(90),	     /* chmod */
	[16] = AS(94),	     /* lchown */
	[21] = AS(165),	     /* mount */
	[22] = AS(166),	     /* umount */
	[23] = AS(105),	     /* setuid */
	[26] = AS(101),	     /* ptrace */
	[37] = AS(62),	     /* kill */
	[38] = AS(82),	     /* rename */
	[39] = AS(83),	     /* mkdir */
	[40] = AS(84),	     /* rmdir */
	[42] = AS(22),	     /* pipe */
	[46] = AS(106),	     /* setgid */
	[52] = AS(166),	     /* umount2 */
	[54] = AS(16),	     /* ioctl */
	[55] = AS(72),	     /* fcntl */
	[61] = AS(161),	     /* chroot */
	[63] = AS(33),	     /* dup2 */
	[70] = AS(113),	     /* setreuid */
	[71] = AS(114),	     /* setregid */
	[81] = AS(116),	     /* setgroups */
	[83] = AS(88),	     /* symlink */
	[92] = AS(76),	     /* truncate */
	[93] = AS(77),	     /* ftruncate */
	[94] = AS(91),	     /* fchmod */
	[95] = AS(93),	     /* fchown */
	[125] = AS(10),	     /* mprotect */
	[138] = AS(122),     /* setfsuid */
	[139] = AS(123),     /* setfsgid */
	[145] = AS(19),	     /* readv */
	[146] = AS(20),	     /* writev */
	[164] = AS(117),     /* setresuid */
	[170] = AS(119),     /* setresgid */
	[178] = AS(129),     /* rt_sigqueueinfo */
	[128] = AS(175),     /* init_module */
	[180] = AS(17),	     /* pread64 */
	[181] = AS(18),	     /* pwrite64 */
	[182] = AS(92),	     /* chown */
	[172] = AS(157),     /* prctl */
	[185] = AS(126),     /* capset */
	[187] = AS(40),	     /* sendfile */
	[192] = AS(9),	     /* mmap2 */
	[193] = AS(76),	     /* truncate64 */
	[194] = AS(77),	     /* ftruncate64 */
	[198] = AS(94),	     /* lchown32 */
	[203] = AS(113),     /* setreuid32 */
	[204] = AS(114),     /* setregid32 */
	[206] = AS(116),     /* setgroups32 */
	[207] = AS(93),	     /* fchown32 */
	[208] = AS(117),     /* setresuid32 */
	[210] = AS(119),     /* setresgid32 */
	[212] = AS(92),	     /* chown32 */
	[213] = AS(105),     /* setuid32 */
	[214] = AS(106),     /* setgid32 */
	[215] = AS(122),     /* setfsuid32 */
	[216] = AS(123),     /* setfsgid32 */
	[217] = AS(155),     /* pivot_root */
	[221] = AS(72),	     /* fcntl64 */
	[226] = AS(188),     /* setxattr */
	[227] = AS(189),     /* lsetxattr */
	[228] = AS(190),     /* fsetxattr */
	[235] = AS(197),     /* removexattr */
	[236] = AS(198),     /* lremovexattr */
	[237] = AS(199),     /* fremovexattr */
	[238] = AS(200),     /* tkill */
	[239] = AS(40),	     /* sendfile64 */
	[248] = COMPAT_LOST, /* io_submit */
	[270] = AS(234),     /* tgkill */
	[295] = AS(257),     /* openat */
	[296] = AS(258),     /* mkdirat */
	[297] = AS(259),     /* mknodat */
	[298] = AS(260),     /* fchownat */
	[301] = AS(263),     /* unlinkat */
	[302] = AS(264),     /* renameat */
	[303] = AS(265),     /* linkat */
	[304] = AS(266),     /* symlinkat */
	[306] = AS(268),     /* fchmodat */
	[310] = AS(272),     /* unshare */
	[313] = AS(275),     /* splice */
	[315] = AS(276),     /* tee */
	[316] = AS(278),     /* vmsplice */
	[324] = AS(285),     /* fallocate */
	[330] = AS(292),     /* dup3 */
	[331] = AS(293),     /* pipe2 */
	[333] = AS(295),     /* preadv */
	[334] = AS(296),     /* pwritev */
	[335] = AS(297),     /* rt_tgsigqueueinfo */
	[337] = COMPAT_LOST, /* recvmmsg */
	[342] = AS(304),     /* open_by_handle_at */
	[345] = COMPAT_LOST, /* sendmmsg */
	[346] = AS(308),     /* setns */
	[347] = AS(310),     /* process_vm_readv */
	[348] = AS(311),     /* process_vm_writev */
	[350] = AS(313),     /* finit_module */
	[353] = AS(316),     /* renameat2 */
	[356] = AS(319),     /* memfd_create */
	[357] = AS(321),     /* bpf */
	[358] = AS(322),     /* execveat */
	[359] = AS(41),	     /* socket */
	[360] = AS(53),	     /* socketpair */
	[361] = AS(49),	     /* bind */
	[362] = AS(42),	     /* connect */
	[363] = AS(50),	     /* listen */
	[364] = AS(288),     /* accept4 */
	[369] = AS(44),	     /* sendto */
	[370] = COMPAT_LOST, /* sendmsg */
	[371] = AS(45),	     /* recvfrom */
	[372] = COMPAT_LOST, /* recvmsg */
	[377] = AS(326),     /* copy_file_range */
	[378] = AS(327),     /* preadv2 */
	[379] = AS(328),     /* pwritev2 */
	[380] = AS(329),     /* pkey_mprotect */
	[397] = AS(30),	     /* shmat */
	[417] = COMPAT_LOST, /* recvmmsg_time64 */
	[424] = AS(424),     /* pidfd_send_signal */
	[425] = AS(425),     /* io_uring_setup */
	[429] = AS(429),     /* move_mount */
	[431] = AS(431),     /* fsconfig */
	[436] = AS(436),     /* close_range */
	[437] = AS(437),     /* openat2 */
	[438] = AS(438),     /* pidfd_getfd */
	[442] = AS(442),     /* mount_setattr */
	[447] = AS(447),     /* memfd_secret */
	[452] = AS(452),     /* fchmodat2 */
	[463] = AS(463),     /* setxattrat */
	[466] = AS(466),     /* removexattrat */
	[469] = AS(469),     /* file_setattr */
};

/* By the first argument of socketcall; the others lie where the second one points to. */
static const __u16 socket_calls[SOCKETCALLS] = {
	[1] = AS(41), /* socket */
	[2] = AS(49), /* bind */
	[3] = AS(42), /* connect */
	[4] = AS(50), /* listen */
	[5] = AS(43), /* accept */
	[8] = AS(NR_socketpair),
	[9] = AS(NR_sendto),	/* send */
	[10] = AS(NR_recvfrom), /* recv */
	[11] = AS(NR_sendto),
	[12] = AS(NR_recvfrom),
	[16] = COMPAT_LOST, /* sendmsg */
	[17] = COMPAT_LOST, /* recvmsg */
	[18] = AS(288),	    /* accept4 */
	[19] = COMPAT_LOST, /* recvmmsg */
	[20] = COMPAT_LOST, /* sendmmsg */
};

/* The 64-bit call that a thread's 32-bit call is, or CALLS where it is none; its arguments go where that one's are. */
static __noinline __u32 read_compat(struct thread_state *own, struct pt_regs *regs, __u32 nr)
{
	if (!own || !regs)
		return CALLS;
	own->args[0] = (__u32)BPF_CORE_READ(regs, bx);
	own->args[1] = (__u32)BPF_CORE_READ(regs, cx);
	own->args[2] = (__u32)BPF_CORE_READ(regs, dx);
	own->args[3] = (__u32)BPF_CORE_READ(regs, si);
	own->args[4] = (__u32)BPF_CORE_READ(regs, di);
	own->args[5] = (__u32)BPF_CORE_READ(regs, bp);
	__u32 as = 0;
	if (nr == COMPAT_mmap || nr == COMPAT_socketcall) {
		__u32 given[6] = {};
		__u32 call = own->args[0];
		bool socket = nr == COMPAT_socketcall;
		/* Those that are not there are read as well: an array at the end of its page is read one by one. */
		const __u32 *from = (const __u32 *)(socket ? own->args[1] : own->args[0]);
#pragma unroll
		for (int i = 0; i < 6; i++)
			bpf_probe_read_user(&given[i], sizeof(given[i]), from + i);
#pragma unroll
		for (int i = 0; i < 6; i++)
			own->args[i] = given[i];
		/* send and recv name no address. */
		if (socket && (call == 9 || call == 10))
			own->args[4] = own->args[5] = 0;
		if (!socket)
			as = AS(NR_mmap);
		else if (call < SOCKETCALLS)
			as = socket_calls[call];
	} else if (nr == COMPAT_ipc) {
		/* Of ipc(call, id, flags, ...), the flags stand where shmat has them. */
		as = (own->args[0] & 0xffff) == IPC_SHMAT ? AS(NR_shmat) : 0;
	} else if (nr < COMPAT_CALLS) {
		as = compat_calls[nr];
	}
	if (as == COMPAT_LOST)
		count_loss(LOSS_COMPAT_SYSCALL);
	return as && as != COMPAT_LOST ? as - 1 : CALLS;
}
