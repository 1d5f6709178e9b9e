//! The lens between two structs.

use super::arm::{Arm, Whole, kept_name};
use super::rules::{Field, Side, record, rules};
use super::{Body, Context};
use crate::errors::Errors;
use quote::{ToTokens, quote};
use syn::Fields;

pub fn body(
    context: &Context,
    older: &Fields,
    newer: &Fields,
    errors: &mut Errors,
) -> Option<Body> {
    let olds = Field::all(context, Side::Older, None, older);
    let news = Field::all(context, Side::Newer, None, newer);
    let rules = rules(context, &olds, &news, Some(&context.options), errors);
    let arm = Arm { olds, news, rules };
    let older = context.older_path().into_token_stream();
    let newer = context.newer_path();
    let forward = arm.cross(
        Side::Newer,
        Some(&Whole {
            path: &older,
            ty: &quote! { <Self as ::xform::Lens>::Left },
        }),
        errors,
    );
    let backward = arm.cross(
        Side::Older,
        Some(&Whole {
            path: &newer,
            ty: &quote! { <Self as ::xform::Lens>::Right },
        }),
        errors,
    );
    let (left, right) = (record(&older, &arm.olds), record(&newer, &arm.news));
    let kept = arm.kept();
    let slots = kept_name();
    let represents = arm.represents();
    let directions = arm.directions();
    let unrepresentable = arm.unrepresentable();
    Some(Body {
        complement: arm.complement(),
        directions: quote! { ::xform::Directions::Both #directions },
        forward: quote! {
            let #slots = complement;
            #forward
            ::core::result::Result::Ok((#right, #kept))
        },
        backward: quote! {
            let #slots = complement;
            #backward
            ::core::result::Result::Ok((#left, #kept))
        },
        is_vacant: arm.is_vacant(&quote! { complement }),
        unrepresentable: quote! { ::xform::Unrepresentable::Foreign #unrepresentable },
        represents: quote! { let #right = right; #represents },
        losses: arm.losses(),
    })
}
