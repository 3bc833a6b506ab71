//! The middle of many figures.

use std::cmp::Ordering;

/// The value below which that share of them lies; none of none.
pub(crate) fn quantile(figures: &[f64], share: f64) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(|one, other| one.partial_cmp(other).unwrap_or(Ordering::Equal));
    let last = sorted.len().checked_sub(1)?;
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "an index, rounded"
    )]
    let index = (last as f64 * share).round() as usize;
    Some(sorted[index])
}

/// Half of them are below.
pub(crate) fn median(figures: &[f64]) -> Option<f64> {
    quantile(figures, 0.5)
}

/// The sum divided by the number; none of none.
pub(crate) fn mean(figures: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = figures.fold((0.0, 0_u64), |(sum, count), figure| {
        (sum + figure, count + 1)
    });
    (count > 0).then(|| sum / number(count))
}

/// A count or a number of nanoseconds, for calculating with.
#[allow(
    clippy::cast_precision_loss,
    reason = "what is measured has far fewer than 52 significant bits"
)]
pub(crate) fn number(figure: u64) -> f64 {
    figure as f64
}
