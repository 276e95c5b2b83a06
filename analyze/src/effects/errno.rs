//! Names of the errors that a refused or failed call returns. The standard library knows none of them.

/// The errors that a followed program meets, as numbered by Linux on x86-64 and arm64 alike.
const NAMES: &[(i64, &str)] = &[
    (0, "ok"),
    (1, "EPERM"),
    (2, "ENOENT"),
    (3, "ESRCH"),
    (4, "EINTR"),
    (5, "EIO"),
    (6, "ENXIO"),
    (7, "E2BIG"),
    (8, "ENOEXEC"),
    (9, "EBADF"),
    (10, "ECHILD"),
    (11, "EAGAIN"),
    (12, "ENOMEM"),
    (13, "EACCES"),
    (14, "EFAULT"),
    (16, "EBUSY"),
    (17, "EEXIST"),
    (18, "EXDEV"),
    (19, "ENODEV"),
    (20, "ENOTDIR"),
    (21, "EISDIR"),
    (22, "EINVAL"),
    (23, "ENFILE"),
    (24, "EMFILE"),
    (25, "ENOTTY"),
    (26, "ETXTBSY"),
    (27, "EFBIG"),
    (28, "ENOSPC"),
    (29, "ESPIPE"),
    (30, "EROFS"),
    (31, "EMLINK"),
    (32, "EPIPE"),
    (36, "ENAMETOOLONG"),
    (38, "ENOSYS"),
    (39, "ENOTEMPTY"),
    (40, "ELOOP"),
    (71, "EPROTO"),
    (75, "EOVERFLOW"),
    (88, "ENOTSOCK"),
    (89, "EDESTADDRREQ"),
    (90, "EMSGSIZE"),
    (91, "EPROTOTYPE"),
    (92, "ENOPROTOOPT"),
    (93, "EPROTONOSUPPORT"),
    (95, "EOPNOTSUPP"),
    (96, "EPFNOSUPPORT"),
    (97, "EAFNOSUPPORT"),
    (98, "EADDRINUSE"),
    (99, "EADDRNOTAVAIL"),
    (100, "ENETDOWN"),
    (101, "ENETUNREACH"),
    (103, "ECONNABORTED"),
    (104, "ECONNRESET"),
    (105, "ENOBUFS"),
    (106, "EISCONN"),
    (107, "ENOTCONN"),
    (108, "ESHUTDOWN"),
    (110, "ETIMEDOUT"),
    (111, "ECONNREFUSED"),
    (112, "EHOSTDOWN"),
    (113, "EHOSTUNREACH"),
    (114, "EALREADY"),
    (115, "EINPROGRESS"),
    (116, "ESTALE"),
    (122, "EDQUOT"),
    (125, "ECANCELED"),
];

/// `-EINPROGRESS`: what a non-blocking connect returns when all goes well so far.
pub const IN_PROGRESS: i64 = -115;

/// `ok` for a result that is not negative, else the error's name, else `error N`.
pub fn outcome(ret: i64) -> String {
    if ret >= 0 {
        return "ok".to_owned();
    }
    let number = ret.unsigned_abs();
    NAMES
        .iter()
        .find(|(known, _)| known.unsigned_abs() == number)
        .map_or_else(|| format!("error {number}"), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_have_names() {
        for (ret, expected) in [
            (0, "ok"),
            (3, "ok"),
            (-3, "ESRCH"),
            (-2, "ENOENT"),
            (-13, "EACCES"),
            (-111, "ECONNREFUSED"),
            (-999, "error 999"),
            (i64::MIN, "error 9223372036854775808"),
        ] {
            assert_eq!(outcome(ret), expected);
        }
    }
}
