//! Names of the kernel for numbers that the probe reports.

/// errno(3).
pub const ERRNO: &[(i32, &str)] = &[
    (libc::EPERM, "EPERM"),
    (libc::ENOENT, "ENOENT"),
    (libc::EIO, "EIO"),
    (libc::ENXIO, "ENXIO"),
    (libc::EBADF, "EBADF"),
    (libc::EAGAIN, "EAGAIN"),
    (libc::ENOMEM, "ENOMEM"),
    (libc::EACCES, "EACCES"),
    (libc::EBUSY, "EBUSY"),
    (libc::EEXIST, "EEXIST"),
    (libc::EXDEV, "EXDEV"),
    (libc::ENODEV, "ENODEV"),
    (libc::ENOTDIR, "ENOTDIR"),
    (libc::EISDIR, "EISDIR"),
    (libc::EINVAL, "EINVAL"),
    (libc::ENOTTY, "ENOTTY"),
    (libc::EFBIG, "EFBIG"),
    (libc::ENOSPC, "ENOSPC"),
    (libc::EROFS, "EROFS"),
    (libc::ELOOP, "ELOOP"),
    (libc::ENETUNREACH, "ENETUNREACH"),
    (libc::ECONNREFUSED, "ECONNREFUSED"),
    (libc::EHOSTUNREACH, "EHOSTUNREACH"),
];

/// getrlimit(2).
pub const RLIMITS: &[(&str, u32)] = &[
    ("CPU", libc::RLIMIT_CPU as u32),
    ("FSIZE", libc::RLIMIT_FSIZE as u32),
    ("DATA", libc::RLIMIT_DATA as u32),
    ("STACK", libc::RLIMIT_STACK as u32),
    ("CORE", libc::RLIMIT_CORE as u32),
    ("RSS", libc::RLIMIT_RSS as u32),
    ("NPROC", libc::RLIMIT_NPROC as u32),
    ("NOFILE", libc::RLIMIT_NOFILE as u32),
    ("MEMLOCK", libc::RLIMIT_MEMLOCK as u32),
    ("AS", libc::RLIMIT_AS as u32),
    ("LOCKS", libc::RLIMIT_LOCKS as u32),
    ("SIGPENDING", libc::RLIMIT_SIGPENDING as u32),
    ("MSGQUEUE", libc::RLIMIT_MSGQUEUE as u32),
    ("NICE", libc::RLIMIT_NICE as u32),
    ("RTPRIO", libc::RLIMIT_RTPRIO as u32),
    ("RTTIME", libc::RLIMIT_RTTIME as u32),
];
