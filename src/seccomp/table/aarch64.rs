//! System calls of aarch64 and arm (EABI), as a kernel for aarch64 runs them. Up to Linux 7.1.

use super::{Arch, Numbers, PRIVATE, table};

/// The native one first.
pub const ARCHS: &[Arch] = &[
    Arch { name: "SCMP_ARCH_AARCH64", audit: 0xc000_00b7, base: 0 },
    Arch { name: "SCMP_ARCH_ARM", audit: 0x4000_0028, base: 0 },
];

/// Places of a call by architecture.
pub fn places(numbers: Numbers) -> [Option<u16>; 3] {
    let [wide, narrow] = numbers.plain();
    let narrow = match numbers.tags() {
        [_, 0] => narrow,
        [_, private] => Some(PRIVATE + private),
    };
    [wide, narrow, None]
}

/// There is nothing of the kind.
pub fn multiplexed(_: Numbers) -> Option<(usize, u16, u16)> {
    None
}

// `name:aarch64:arm`. Behind the latter `p` and its number among arm's private calls.
#[rustfmt::skip]
table! {"
_llseek::140 _newselect::142 _sysctl::149 accept:202:285 accept4:242:366 access::33 acct:89:51 add_key:217:309 adjtimex:171:124
arm_fadvise64_64::270 arm_sync_file_range::341 bdflush::134 bind:200:282 bpf:280:386 breakpoint::p1 brk:214:45 cacheflush::p2
cachestat:451:451 capget:90:184 capset:91:185 chdir:49:12 chmod::15 chown::182 chown32::212 chroot:51:61 clock_adjtime:266:372
clock_adjtime64::405 clock_getres:114:264 clock_getres_time64::406 clock_gettime:113:263 clock_gettime64::403
clock_nanosleep:115:265 clock_nanosleep_time64::407 clock_settime:112:262 clock_settime64::404 clone:220:120 clone3:435:435
close:57:6 close_range:436:436 connect:203:283 copy_file_range:285:391 creat::8 delete_module:106:129 dup:23:41 dup2::63
dup3:24:358 epoll_create::250 epoll_create1:20:357 epoll_ctl:21:251 epoll_pwait:22:346 epoll_pwait2:441:441 epoll_wait::252
eventfd::351 eventfd2:19:356 execve:221:11 execveat:281:387 exit:93:1 exit_group:94:248 faccessat:48:334 faccessat2:439:439
fadvise64:223: fallocate:47:352 fanotify_init:262:367 fanotify_mark:263:368 fchdir:50:133 fchmod:52:94 fchmodat:53:333
fchmodat2:452:452 fchown:55:95 fchown32::207 fchownat:54:325 fcntl:25:55 fcntl64::221 fdatasync:83:148 fgetxattr:10:231
file_getattr:468:468 file_setattr:469:469 finit_module:273:379 flistxattr:13:234 flock:32:143 fork::2 fremovexattr:16:237
fsconfig:431:431 fsetxattr:7:228 fsmount:432:432 fsopen:430:430 fspick:433:433 fstat:80:108 fstat64::197 fstatat64::327
fstatfs:44:100 fstatfs64::267 fsync:82:118 ftruncate:46:93 ftruncate64::194 futex:98:240 futex_requeue:456:456 futex_time64::422
futex_wait:455:455 futex_waitv:449:449 futex_wake:454:454 futimesat::326 get_mempolicy:236:320 get_robust_list:100:339
get_tls::p6 getcpu:168:345 getcwd:17:183 getdents::141 getdents64:61:217 getegid:177:50 getegid32::202 geteuid:175:49
geteuid32::201 getgid:176:47 getgid32::200 getgroups:158:80 getgroups32::205 getitimer:102:105 getpeername:205:287
getpgid:155:132 getpgrp::65 getpid:172:20 getppid:173:64 getpriority:141:96 getrandom:278:384 getresgid:150:171 getresgid32::211
getresuid:148:165 getresuid32::209 getrlimit:163: getrusage:165:77 getsid:156:147 getsockname:204:286 getsockopt:209:295
gettid:178:224 gettimeofday:169:78 getuid:174:24 getuid32::199 getxattr:8:229 getxattrat:464:464 init_module:105:128
inotify_add_watch:27:317 inotify_init::316 inotify_init1:26:360 inotify_rm_watch:28:318 io_cancel:3:247 io_destroy:1:244
io_getevents:4:245 io_pgetevents:292:399 io_pgetevents_time64::416 io_setup:0:243 io_submit:2:246 io_uring_enter:426:426
io_uring_register:427:427 io_uring_setup:425:425 ioctl:29:54 ioprio_get:31:315 ioprio_set:30:314 kcmp:272:378
kexec_file_load:294:401 kexec_load:104:347 keyctl:219:311 kill:129:37 landlock_add_rule:445:445 landlock_create_ruleset:444:444
landlock_restrict_self:446:446 lchown::16 lchown32::198 lgetxattr:9:230 link::9 linkat:37:330 listen:201:284 listmount:458:458
listns:470:470 listxattr:11:232 listxattrat:465:465 llistxattr:12:233 lookup_dcookie:18:249 lremovexattr:15:236 lseek:62:19
lsetxattr:6:227 lsm_get_self_attr:459:459 lsm_list_modules:461:461 lsm_set_self_attr:460:460 lstat::107 lstat64::196
madvise:233:220 map_shadow_stack:453:453 mbind:235:319 membarrier:283:389 memfd_create:279:385 memfd_secret:447:
migrate_pages:238:400 mincore:232:219 mkdir::39 mkdirat:34:323 mknod::14 mknodat:33:324 mlock:228:150 mlock2:284:390
mlockall:230:152 mmap:222: mmap2::192 mount:40:21 mount_setattr:442:442 move_mount:429:429 move_pages:239:344 mprotect:226:125
mq_getsetattr:185:279 mq_notify:184:278 mq_open:180:274 mq_timedreceive:183:277 mq_timedreceive_time64::419 mq_timedsend:182:276
mq_timedsend_time64::418 mq_unlink:181:275 mremap:216:163 mseal:462:462 msgctl:187:304 msgget:186:303 msgrcv:188:302
msgsnd:189:301 msync:227:144 munlock:229:151 munlockall:231:153 munmap:215:91 name_to_handle_at:264:370 nanosleep:101:162
newfstatat:79: nfsservctl:42:169 nice::34 open::5 open_by_handle_at:265:371 open_tree:428:428 open_tree_attr:467:467
openat:56:322 openat2:437:437 pause::29 pciconfig_iobase::271 pciconfig_read::272 pciconfig_write::273 perf_event_open:241:364
personality:92:136 pidfd_getfd:438:438 pidfd_open:434:434 pidfd_send_signal:424:424 pipe::42 pipe2:59:359 pivot_root:41:218
pkey_alloc:289:395 pkey_free:290:396 pkey_mprotect:288:394 poll::168 ppoll:73:336 ppoll_time64::414 prctl:167:172 pread64:67:180
preadv:69:361 preadv2:286:392 prlimit64:261:369 process_madvise:440:440 process_mrelease:448:448 process_vm_readv:270:376
process_vm_writev:271:377 pselect6:72:335 pselect6_time64::413 ptrace:117:26 pwrite64:68:181 pwritev:70:362 pwritev2:287:393
quotactl:60:131 quotactl_fd:443:443 read:63:3 readahead:213:225 readlink::85 readlinkat:78:332 readv:65:145 reboot:142:88
recv::291 recvfrom:207:292 recvmmsg:243:365 recvmmsg_time64::417 recvmsg:212:297 remap_file_pages:234:253 removexattr:14:235
removexattrat:466:466 rename::38 renameat:38:329 renameat2:276:382 request_key:218:310 restart_syscall:128:0 rmdir::40
rseq:293:398 rseq_slice_yield:471:471 rt_sigaction:134:174 rt_sigpending:136:176 rt_sigprocmask:135:175 rt_sigqueueinfo:138:178
rt_sigreturn:139:173 rt_sigsuspend:133:179 rt_sigtimedwait:137:177 rt_sigtimedwait_time64::421 rt_tgsigqueueinfo:240:363
sched_get_priority_max:125:159 sched_get_priority_min:126:160 sched_getaffinity:123:242 sched_getattr:275:381
sched_getparam:121:155 sched_getscheduler:120:157 sched_rr_get_interval:127:161 sched_rr_get_interval_time64::423
sched_setaffinity:122:241 sched_setattr:274:380 sched_setparam:118:154 sched_setscheduler:119:156 sched_yield:124:158
seccomp:277:383 semctl:191:300 semget:190:299 semop:193:298 semtimedop:192:312 semtimedop_time64::420 send::289 sendfile:71:187
sendfile64::239 sendmmsg:269:374 sendmsg:211:296 sendto:206:290 set_mempolicy:237:321 set_mempolicy_home_node:450:450
set_robust_list:99:338 set_tid_address:96:256 set_tls::p5 setdomainname:162:121 setfsgid:152:139 setfsgid32::216
setfsuid:151:138 setfsuid32::215 setgid:144:46 setgid32::214 setgroups:159:81 setgroups32::206 sethostname:161:74
setitimer:103:104 setns:268:375 setpgid:154:57 setpriority:140:97 setregid:143:71 setregid32::204 setresgid:149:170
setresgid32::210 setresuid:147:164 setresuid32::208 setreuid:145:70 setreuid32::203 setrlimit:164:75 setsid:157:66
setsockopt:208:294 settimeofday:170:79 setuid:146:23 setuid32::213 setxattr:5:226 setxattrat:463:463 shmat:196:305
shmctl:195:308 shmdt:197:306 shmget:194:307 shutdown:210:293 sigaction::67 sigaltstack:132:186 signalfd::349 signalfd4:74:355
sigpending::73 sigprocmask::126 sigreturn::119 sigsuspend::72 socket:198:281 socketpair:199:288 splice:76:340 stat::106
stat64::195 statfs:43:99 statfs64::266 statmount:457:457 statx:291:397 swapoff:225:115 swapon:224:87 symlink::83
symlinkat:36:331 sync:81:36 sync_file_range:84: syncfs:267:373 sysfs::135 sysinfo:179:116 syslog:116:103 tee:77:342
tgkill:131:268 timer_create:107:257 timer_delete:111:261 timer_getoverrun:109:260 timer_gettime:108:259 timer_gettime64::408
timer_settime:110:258 timer_settime64::409 timerfd_create:85:350 timerfd_gettime:87:354 timerfd_gettime64::410
timerfd_settime:86:353 timerfd_settime64::411 times:153:43 tkill:130:238 truncate:45:92 truncate64::193 ugetrlimit::191
umask:166:60 umount2:39:52 uname:160:122 unlink::10 unlinkat:35:328 unshare:97:337 uselib::86 userfaultfd:282:388 usr26::p3
usr32::p4 ustat::62 utimensat:88:348 utimensat_time64::412 utimes::269 vfork::190 vhangup:58:111 vmsplice:75:343 vserver::313
wait4:260:114 waitid:95:280 write:64:4 writev:66:146
"}
