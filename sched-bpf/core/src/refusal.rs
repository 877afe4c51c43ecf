// SPDX-License-Identifier: GPL-2.0

//! Refusals of libbpf, the verifier and the kernel as one line.

use std::ffi::OsStr;

use libbpf_rs::btf::types::{FuncProto, Ptr, Struct};
use libbpf_rs::btf::{Btf, BtfType, ReferencesType};

use crate::kernel::OPS;

const LOAD_FAILED: &str = "': BPF program load failed";

/// Return what is wrong, and the program that the verifier refused if it was one. `log` is
/// what the verifier said of a program.
pub fn reason(warnings: &[String], log: Option<(&str, &str)>) -> (String, Option<String>) {
    let lines: Vec<_> = warnings
        .iter()
        .map(|text| text.strip_prefix("libbpf: ").unwrap_or(text).trim_end())
        .collect();
    // The rest follows from the first one.
    let Some(first) = lines.first() else {
        return ("refused".to_string(), None);
    };
    let first = first.lines().next().unwrap_or_default();
    let Some((program, _)) =
        first.strip_prefix("prog '").and_then(|rest| rest.split_once(LOAD_FAILED))
    else {
        return (first.to_string(), None);
    };

    // libbpf knows why the kernel refuses what the verifier does not look at.
    let known: Vec<_> = lines[1..]
        .iter()
        .filter(|line| !line.contains("failed to load"))
        .filter_map(|line| line.strip_prefix(&format!("prog '{program}': ")))
        .filter(|line| !line.starts_with("--"))
        .collect();
    if !known.is_empty() {
        return (format!("prog '{program}': {}", known.join("; ")), None);
    }

    match log.map(|(program, log)| (program, last_words(log))) {
        Some((program, said)) if !said.is_empty() => {
            (format!("prog '{program}': {said}"), Some(program.to_string()))
        }
        _ => (first.to_string(), None),
    }
}

/// Return what the verifier says at the end of its log, after what it has looked at.
fn last_words(log: &str) -> String {
    let mut words: Vec<_> = log
        .lines()
        .map(str::trim)
        .take_while(|line| {
            !line.starts_with("processed ") && !line.starts_with("Verification failed")
        })
        .collect();

    while words.last().is_some_and(|line| line.is_empty()) {
        words.pop();
    }
    let begin = words.iter().rposition(|line| is_looked_at(line)).map_or(0, |at| at + 1);
    words[begin..].join("; ")
}

/// Return true for an instruction, a line of the source, or the contents of registers.
fn is_looked_at(line: &str) -> bool {
    let number = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let register = line
        .strip_prefix('R')
        .map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()))
        .is_some_and(|rest| rest.starts_with('=') || rest.starts_with('_'));

    line.is_empty()
        || line.starts_with(';')
        || line.starts_with("from ")
        || (number.len() < line.len() && number.starts_with(':'))
        || register
}

/// Return the prototype of a hook, of which only the types are known:
/// `int cfs_slice(struct sched_entity *, u64)`.
pub fn prototype(kernel: &Btf, hook: &str) -> Option<String> {
    let ops = kernel.type_by_name::<Struct>(OPS)?;
    let member = ops.iter().find(|m| m.name == Some(OsStr::new(hook)))?;
    let pointer = kernel.type_by_id::<Ptr>(member.ty)?;
    let proto = FuncProto::try_from(pointer.referenced_type()).ok()?;
    let name = |ty: &BtfType| Some(ty.name()?.to_string_lossy().into_owned());
    let parameters: Option<Vec<_>> = proto
        .iter()
        .map(|parameter| {
            let ty = kernel.type_by_id::<BtfType>(parameter.ty)?;
            match Ptr::try_from(ty) {
                Ok(pointer) => {
                    let to = pointer.referenced_type().skip_mods_and_typedefs();
                    Some(format!("struct {} *", name(&to)?))
                }
                Err(ty) => name(&ty),
            }
        })
        .collect();

    Some(format!("int {hook}({})", parameters?.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_log(log: &str) -> (String, Option<String>) {
        let warnings = [
            "libbpf: prog 'tick': BPF program load failed: -EACCES\n".to_string(),
            "libbpf: prog 'tick': failed to load: -EACCES\n".to_string(),
        ];
        reason(&warnings, Some(("tick", log)))
    }

    #[test]
    fn the_verifier_has_the_last_words() {
        let (said, program) = of_log(
            "0: R1=ctx() R10=fp0\n\
             ; SEC(\"struct_ops\") int BPF_PROG(tick, int d) @ toomany.bpf.c:5\n\
             0: (79) r1 = *(u64 *)(r1 +40)\n\
             func 'cfs_check_preempt_tick' doesn't have 5-th argument\n\
             invalid bpf_context access off=40 size=8\n\
             processed 1 insns (limit 1000000) max_states_per_insn 0\n",
        );
        assert_eq!(
            said,
            "prog 'tick': func 'cfs_check_preempt_tick' doesn't have 5-th argument; \
             invalid bpf_context access off=40 size=8"
        );
        assert_eq!(program.as_deref(), Some("tick"));

        let (said, _) = of_log(
            "5: (85) call bpf_send_signal#109\n\
             program of this type cannot use helper bpf_send_signal#109\n\
             \n\
             Verification failed: Policy: Operation is not allowed\n",
        );
        assert!(said.ends_with("cannot use helper bpf_send_signal#109"), "{said}");

        let (said, _) = of_log("1: (95) exit\nR1=scalar()\nR0 !read_ok\nprocessed 2 insns\n");
        assert_eq!(said, "prog 'tick': R0 !read_ok");
    }

    #[test]
    fn libbpf_explains_first() {
        let warnings = [
            "libbpf: prog 'tick': BPF program load failed: -ELOOP\n".to_string(),
            "libbpf: prog 'tick': insn #3 is may_goto\n".to_string(),
        ];
        let (said, program) = reason(&warnings, Some(("tick", "attach to unsupported member")));
        assert_eq!(said, "prog 'tick': insn #3 is may_goto");
        assert_eq!(program, None);
    }

    #[test]
    fn other_warnings_are_kept() {
        assert_eq!(reason(&[], None).0, "refused");
        let warnings = ["libbpf: no such thing\nmore\n".to_string(), "x".to_string()];
        assert_eq!(reason(&warnings, None), ("no such thing".to_string(), None));
    }
}
