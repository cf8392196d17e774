//! What a container has used, in the words of runc's `events`.
//!
//! The two lists are the document, line by line: how a member is made, its key, the file that it comes from, and where in
//! that file. A file that is not there, for want of a controller or of a newer kernel, counts as 0 or as nothing.
//!
//! | | |
//! |---|---|
//! | `object` `end` | around members |
//! | `number` | a file's number, or the one behind a key in it, times a factor; or the sum of two files |
//! | `nonzero` | the same, left out when 0 or `max` |
//! | `text` | the number as it stands there |
//! | `words` `column` `set` | a list: of the file's words, of the n-th of each line, of a cpuset's members |
//! | `map` | all keys of a file |
//! | `pressure` | Documentation/accounting/psi.rst |
//! | `devices` `io` | block I/O by device, of v1 and of v2 |
//! | `pages` | a member for each size of huge pages, with these files |
//! | `null` | what we never know |

use core::fmt;
use core::mem::MaybeUninit;

use rustix::fs::{Mode as Permissions, OFlags, RawDir, open};

use super::{Cgroups, Mode};
use crate::text::{Short, short};
use crate::wire::accounting::{Operation, pair, ranges, reads_and_writes};
use crate::wire::cgroupfs::{keyed, lines, number, words};
use crate::wire::json::Writer;

const V1: &str = "\
object cpu
object usage
nonzero total cpuacct.usage
words percpu cpuacct.usage_percpu
column percpu_kernel cpuacct.usage_all 2
column percpu_user cpuacct.usage_all 1
number kernel cpuacct.stat system 10000000
number user cpuacct.stat user 10000000
end
object throttling
nonzero periods cpu.stat nr_periods
nonzero throttledPeriods cpu.stat nr_throttled
nonzero throttledTime cpu.stat throttled_time
end
end
object cpuset
set cpus cpuset.cpus
number cpu_exclusive cpuset.cpu_exclusive
set mems cpuset.mems
number mem_hardwall cpuset.mem_hardwall
number mem_exclusive cpuset.mem_exclusive
number memory_migrate cpuset.memory_migrate
number memory_spread_page cpuset.memory_spread_page
number memory_spread_slab cpuset.memory_spread_slab
number memory_pressure cpuset.memory_pressure
number sched_load_balance cpuset.sched_load_balance
text sched_relax_domain_level cpuset.sched_relax_domain_level
end
object memory
nonzero cache memory.stat cache
object usage
number limit memory.limit_in_bytes
nonzero usage memory.usage_in_bytes
nonzero max memory.max_usage_in_bytes
number failcnt memory.failcnt
end
object swap
number limit memory.memsw.limit_in_bytes
nonzero usage memory.memsw.usage_in_bytes
nonzero max memory.memsw.max_usage_in_bytes
number failcnt memory.memsw.failcnt
end
object kernel
number limit memory.kmem.limit_in_bytes
nonzero usage memory.kmem.usage_in_bytes
nonzero max memory.kmem.max_usage_in_bytes
number failcnt memory.kmem.failcnt
end
object kernelTCP
number limit memory.kmem.tcp.limit_in_bytes
nonzero usage memory.kmem.tcp.usage_in_bytes
nonzero max memory.kmem.tcp.max_usage_in_bytes
number failcnt memory.kmem.tcp.failcnt
end
map raw memory.stat
end
object pids
nonzero current pids.current
nonzero limit pids.max
end
object blkio
devices ioServiceBytesRecursive io_service_bytes_recursive
devices ioServicedRecursive io_serviced_recursive
devices ioQueueRecursive io_queued_recursive
devices ioServiceTimeRecursive io_service_time_recursive
devices ioWaitTimeRecursive io_wait_time_recursive
devices ioMergedRecursive io_merged_recursive
devices ioTimeRecursive time_recursive
devices sectorsRecursive sectors_recursive
end
pages hugetlb usage_in_bytes max_usage_in_bytes failcnt
object intel_rdt
end
null network_interfaces";

const V2: &str = "\
object cpu
object usage
nonzero total cpu.stat usage_usec 1000
number kernel cpu.stat system_usec 1000
number user cpu.stat user_usec 1000
end
object throttling
nonzero periods cpu.stat nr_periods
nonzero throttledPeriods cpu.stat nr_throttled
nonzero throttledTime cpu.stat throttled_usec 1000
end
pressure psi cpu.pressure
end
object cpuset
number cpu_exclusive -
number mem_hardwall -
number mem_exclusive -
number memory_migrate -
number memory_spread_page -
number memory_spread_slab -
number memory_pressure -
number sched_load_balance -
number sched_relax_domain_level -
end
object memory
nonzero cache memory.stat file
object usage
number limit memory.max
nonzero usage memory.current
nonzero max memory.peak
number failcnt -
end
object swap
number limit memory.swap.max memory.max
nonzero usage memory.swap.current memory.current
number failcnt -
end
object kernel
number limit -
number failcnt -
end
object kernelTCP
number limit -
number failcnt -
end
map raw memory.stat
pressure psi memory.pressure
end
object pids
nonzero current pids.current
nonzero limit pids.max
end
object blkio
io ioServiceBytesRecursive io.stat bytes
io ioServicedRecursive io.stat ios
pressure psi io.pressure
end
pages hugetlb current - events
object intel_rdt
end
null network_interfaces";

/// The file that was read last.
struct Last<'b> {
    buffer: &'b mut [u8],
    file: Short,
    len: usize,
}

impl Cgroups {
    /// Writes the members of the statistics. `buffer` is for one file at a time.
    pub fn stats(&self, writer: &mut Writer<'_>, buffer: &mut [u8]) -> fmt::Result {
        let list = if self.mode == Mode::V2 { V2 } else { V1 };
        let mut last = Last { buffer, file: Short::new(), len: 0 };
        list.lines().try_for_each(|line| self.member(line, writer, &mut last))
    }

    fn member(&self, line: &str, writer: &mut Writer<'_>, last: &mut Last<'_>) -> fmt::Result {
        let mut parts = line.split(' ');
        let mut next = || parts.next().unwrap_or_default();
        let (how, key, file, word) = (next(), next(), next(), next());
        let name = Some(key);
        match how {
            "object" => return writer.object(name),
            "end" => return writer.end_object(),
            "null" => return writer.raw(name, b"null"),
            "pages" => return self.pages(key, [file, word, next()], writer, last),
            "number" | "nonzero" => {
                let factor = number(next().as_bytes()).unwrap_or(1);
                let value = match word.contains('.') {
                    true => self.number(word, "", last).saturating_add(self.number(file, "", last)),
                    false => self.number(file, word, last).saturating_mul(factor),
                };
                return unsigned(writer, key, value, how == "number");
            }
            _ => {}
        }
        let found = match how {
            "devices" => ["blkio.bfq.", "blkio.throttle."].iter().find_map(|prefix| {
                let text = self.text(&short(format_args!("{prefix}{file}")), last)?;
                lines(text).any(|line| Operation::parse(line).is_some()).then_some(text.len())
            }),
            _ => self.text(file, last).map(<[u8]>::len),
        };
        let Some(text) = found.and_then(|len| last.buffer.get(..len)) else { return Ok(()) };
        match how {
            "text" => writer.raw(name, text.trim_ascii()),
            "words" => array(writer, key, words(text), |writer, word| writer.raw(None, word)),
            "set" => {
                array(writer, key, ranges(text), |writer, number| writer.raw(None, digits(number).as_bytes()))
            }
            "column" => {
                let at = number(word.as_bytes()).unwrap_or(0) as usize;
                let numbers =
                    lines(text).filter_map(|line| words(line).nth(at)).filter(|it| number(it).is_some());
                array(writer, key, numbers, |writer, word| writer.raw(None, word))
            }
            "map" => {
                writer.object(name)?;
                for line in lines(text) {
                    let mut pair = words(line).filter_map(|word| core::str::from_utf8(word).ok());
                    if let (Some(key), Some(value)) = (pair.next(), pair.next()) {
                        writer.raw(Some(key), value.as_bytes())?;
                    }
                }
                writer.end_object()
            }
            "pressure" => pressure(writer, key, text),
            "devices" => array(writer, key, lines(text).filter_map(Operation::parse), operation),
            _ => {
                let operations = lines(text).flat_map(|line| reads_and_writes(line, word.as_bytes()));
                array(writer, key, operations, operation)
            }
        }
    }

    /// A file of whatever hierarchy has its controller. What several members come from is read once.
    fn text<'b>(&self, file: &str, last: &'b mut Last<'_>) -> Option<&'b [u8]> {
        if last.file != file {
            last.file.clear();
            let controller = file.split('.').next()?;
            last.len = self.read_file(self.holding(controller)?, file.as_bytes(), last.buffer).ok()?.len();
            let _ = last.file.push_str(file);
        }
        last.buffer.get(..last.len)
    }

    /// A file's number, or the one behind a key in it. No limit is the largest there is.
    #[inline(never)]
    fn number(&self, file: &str, key: &str, last: &mut Last<'_>) -> u64 {
        let Some(text) = self.text(file, last) else { return 0 };
        match key {
            "" if text.trim_ascii() == b"max" => u64::MAX,
            "" => number(text).unwrap_or(0),
            key => keyed(text, key.as_bytes()).unwrap_or(0),
        }
    }

    /// A member for each size that the kernel has (Documentation/admin-guide/mm/hugetlbpage.rst).
    fn pages(
        &self,
        key: &str,
        files: [&str; 3],
        writer: &mut Writer<'_>,
        last: &mut Last<'_>,
    ) -> fmt::Result {
        writer.object(Some(key))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        if let Ok(directory) = open(c"/sys/kernel/mm/hugepages", flags, Permissions::empty()) {
            let mut space = [MaybeUninit::uninit(); 1024];
            let mut entries = RawDir::new(&directory, &mut space);
            while let Some(Ok(entry)) = entries.next() {
                let size = entry.file_name().to_bytes().strip_prefix(b"hugepages-");
                let Some(size) = size.and_then(|size| number(size.strip_suffix(b"kB")?)) else { continue };
                let (scaled, unit) = match size {
                    0..1024 => (size, "KB"),
                    1024..0x10_0000 => (size >> 10, "MB"),
                    _ => (size >> 20, "GB"),
                };
                self.page(&short(format_args!("{scaled}{unit}")), files, writer, last)?;
            }
        }
        writer.end_object()
    }

    /// What is reserved, where the kernel counts it (5.7), as the limits do.
    fn page(
        &self,
        size: &str,
        files: [&str; 3],
        writer: &mut Writer<'_>,
        last: &mut Last<'_>,
    ) -> fmt::Result {
        let [usage, max, failures] = files;
        let reserved = short(format_args!("hugetlb.{size}.rsvd."));
        let used = short(format_args!("hugetlb.{size}."));
        let mut has = |prefix: &str| self.text(&short(format_args!("{prefix}{usage}")), last).is_some();
        let prefix = match (has(&reserved), has(&used)) {
            (true, _) => reserved,
            (false, true) => used.clone(),
            (false, false) => return Ok(()),
        };
        writer.object(Some(size))?;
        let mut value = |prefix: &str, file: &str, key: &str| {
            self.number(&short(format_args!("{prefix}{file}")), key, last)
        };
        unsigned(writer, "usage", value(&prefix, usage, ""), false)?;
        unsigned(writer, "max", value(&prefix, max, ""), false)?;
        // v2 counts events of all kinds in one file, and only for pages in use.
        let failed =
            if failures == "events" { value(&used, failures, "max") } else { value(&prefix, failures, "") };
        unsigned(writer, "failcnt", failed, true)?;
        writer.end_object()
    }
}

fn digits(number: u64) -> crate::text::Short {
    short(format_args!("{number}"))
}

/// `always`, or when it is neither 0 nor `max`.
fn unsigned(writer: &mut Writer<'_>, key: &str, value: u64, always: bool) -> fmt::Result {
    match value {
        0 | u64::MAX if !always => Ok(()),
        _ => writer.raw(Some(key), digits(value).as_bytes()),
    }
}

/// A list, left out when it is empty.
fn array<T>(
    writer: &mut Writer<'_>,
    key: &str,
    items: impl Iterator<Item = T>,
    item: impl Fn(&mut Writer<'_>, T) -> fmt::Result,
) -> fmt::Result {
    let mut items = items.peekable();
    if items.peek().is_none() {
        return Ok(());
    }
    writer.array(Some(key))?;
    items.try_for_each(|it| item(writer, it))?;
    writer.end_array()
}

fn operation(writer: &mut Writer<'_>, it: Operation<'_>) -> fmt::Result {
    writer.object(None)?;
    unsigned(writer, "major", it.major, false)?;
    unsigned(writer, "minor", it.minor, false)?;
    if !it.name.is_empty() {
        writer.string(Some("op"), it.name)?;
    }
    unsigned(writer, "value", it.value, false)?;
    writer.end_object()
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, and perhaps a `full` one.
fn pressure(writer: &mut Writer<'_>, key: &str, text: &[u8]) -> fmt::Result {
    writer.object(Some(key))?;
    for line in lines(text) {
        let mut fields = words(line);
        writer.object(fields.next().and_then(|kind| core::str::from_utf8(kind).ok()))?;
        for (key, value) in fields.filter_map(pair) {
            writer.raw(core::str::from_utf8(key).ok(), value)?;
        }
        writer.end_object()?;
    }
    writer.end_object()
}
