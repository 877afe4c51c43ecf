// SPDX-License-Identifier: GPL-2.0

//! Members of the kernel's structures, by paths like `se.avg.util_avg`.

use anyhow::{bail, Context, Result};
use libbpf_rs::btf::types::{Array, Composite, Enum, Enum64, Int, MemberAttr, Struct};
use libbpf_rs::btf::{Btf, BtfKind, BtfType, HasSize};

/// Bytes of a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where they begin
    pub offset: usize,
    /// How many there are
    pub size: usize,
}

/// What a structure or union is made of, by what its members are called.
struct Member<'a> {
    name: String,
    span: Span,
    ty: BtfType<'a>,
}

/// Where a member is that begins at this bit. A bit field is read as what it is part of.
fn span(bit: usize, size: usize, is_bit_field: bool) -> Option<Span> {
    let offset = bit / 8;

    Some(Span {
        offset: match is_bit_field {
            true => offset - offset.checked_rem(size)?,
            false => offset,
        },
        size,
    })
}

fn size_of(ty: BtfType) -> Option<usize> {
    let ty = ty.skip_mods_and_typedefs();

    Some(match ty.kind() {
        BtfKind::Ptr => 8,
        BtfKind::Array => {
            let array = Array::try_from(ty).ok()?;
            array.capacity() * size_of(array.contained_type())?
        }
        BtfKind::Int => Int::try_from(ty).ok()?.size(),
        BtfKind::Enum => Enum::try_from(ty).ok()?.size(),
        BtfKind::Enum64 => Enum64::try_from(ty).ok()?.size(),
        _ => Composite::try_from(ty).ok()?.size(),
    })
}

fn members<'a>(btf: &'a Btf<'a>, ty: BtfType<'a>) -> Vec<Member<'a>> {
    let Ok(composite) = Composite::try_from(ty.skip_mods_and_typedefs()) else {
        return Vec::new();
    };

    composite
        .iter()
        .filter_map(|member| {
            let ty = btf.type_by_id::<BtfType>(member.ty)?;
            let (offset, bits) = match member.attr {
                MemberAttr::Normal { offset } => (offset, false),
                MemberAttr::BitField { offset, .. } => (offset, true),
            };
            Some(Member {
                name: member
                    .name
                    .map(|name| name.to_string_lossy().into_owned())
                    .unwrap_or_default(),
                span: span(offset as usize, size_of(ty)?, bits)?,
                ty,
            })
        })
        .collect()
}

/// The member of this name, also of an unnamed structure or union inside.
fn member<'a>(btf: &'a Btf<'a>, of: BtfType<'a>, name: &str) -> Option<Member<'a>> {
    for mut found in members(btf, of) {
        if found.name == name {
            return Some(found);
        }
        if found.name.is_empty() {
            let outer = found.span.offset;
            if let Some(inner) = member(btf, found.ty, name) {
                found = inner;
                found.span.offset += outer;
                return Some(found);
            }
        }
    }
    None
}

fn structure<'a>(btf: &'a Btf<'a>, name: &str) -> Result<BtfType<'a>> {
    btf.type_by_name::<Struct>(name)
        .and_then(|ty| btf.type_by_id::<BtfType>(ty.type_id()))
        .with_context(|| format!("this kernel has no struct {name}"))
}

/// How large a structure is.
pub fn size(btf: &Btf, name: &str) -> Result<usize> {
    size_of(structure(btf, name)?).context("structure without a size")
}

/// Where the member at `path` is.
pub fn find(btf: &Btf, of: &str, path: &str) -> Result<Span> {
    let mut ty = structure(btf, of)?;
    let mut span = Span { offset: 0, size: 0 };
    let mut name = of.to_string();

    for part in path.split('.') {
        let Some(found) = member(btf, ty, part) else {
            bail!("{name} has no member '{part}'");
        };
        name = format!("{name}.{part}");
        span = Span {
            offset: span.offset + found.span.offset,
            size: found.span.size,
        };
        ty = found.ty.skip_mods_and_typedefs();
    }
    Ok(span)
}

/// What is at this offset: the path of the innermost member.
pub fn name_at(btf: &Btf, of: &str, offset: usize) -> String {
    let mut path = of.to_string();
    let Ok(mut ty) = structure(btf, of) else {
        return path;
    };
    let mut offset = offset;

    loop {
        let around = members(btf, ty)
            .into_iter()
            .find(|m| (m.span.offset..m.span.offset + m.span.size).contains(&offset));
        let Some(found) = around else {
            return path;
        };
        if !found.name.is_empty() {
            path = format!("{path}.{}", found.name);
        }
        offset -= found.span.offset;
        ty = found.ty;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bit_fields_are_part_of_a_number() {
        let at = |bit, size, is_bit_field| span(bit, size, is_bit_field).map(|span| span.offset);

        assert_eq!(at(8 * 13, 4, true), Some(12));
        assert_eq!(at(8 * 13 + 3, 1, true), Some(13));
        assert_eq!(at(8 * 13, 1, false), Some(13));
        assert_eq!(at(0, 0, true), None);
    }
}
