//! A small transformer with the state of an Adam optimizer, as it would be in the middle of its training.

use dcp::crates::dcp_types::reexports::{bytes::Bytes, half::bf16};
use dcp::{DType, Shape, TypesError, Value};

use super::model::Step::{Item, Key};
use super::model::{Leaf, Model, Tensor, path};

const WIDTH: u64 = 256;
const HIDDEN: u64 = 688;
/// A prime, so that no mesh divides it.
const WORDS: u64 = 4099;
const LAYERS: u64 = 2;
const STEP: i64 = 1000;

/// The model, always the same.
pub(super) fn transformer() -> Result<Model, TypesError> {
    let parameters = parameters();
    let mut random = Random(1);
    let mut leaves = Vec::new();
    for (name, shape) in &parameters {
        leaves.push((path([Key("model"), Key(name)]), weights(&mut random, shape)?));
    }
    let frequencies = (0..32).flat_map(|pair| 10_000f32.powf(-pair as f32 / 32.0).to_le_bytes());
    leaves.push((path([Key("model"), Key("rope.inv_freq")]), tensor(DType::Float32, &[32], frequencies.collect())?));
    leaves.push((path([Key("model"), Key("logit_scale")]), tensor(DType::Float32, &[], 2.5f32.to_le_bytes().into())?));
    for (name, shape) in &parameters {
        let of = |state| path([Key("optim"), Key("state"), Key(name), Key(state)]);
        leaves.push((of("step"), Leaf::Value(STEP.into())));
        leaves.push((of("exp_avg"), moments(&mut random, shape, false)?));
        leaves.push((of("exp_avg_sq"), moments(&mut random, shape, true)?));
    }
    let names = parameters.iter().map(|(name, _)| Value::from(name.as_str())).collect();
    let group = [
        ("lr", Value::from(3e-4)),
        ("betas", Value::Tuple(vec![0.9.into(), 0.95.into()])),
        ("eps", 1e-8.into()),
        ("weight_decay", 0.1.into()),
        ("amsgrad", false.into()),
        ("foreach", Value::None),
        ("params", Value::List(names)),
    ];
    for (name, value) in group {
        leaves.push((path([Key("optim"), Key("param_groups"), Item(0), Key(name)]), Leaf::Value(value)));
    }
    let rng: Vec<u8> = (0..2048).flat_map(|_| random.next().to_le_bytes()).take(5056).collect();
    leaves.push((path([Key("step")]), Leaf::Value(STEP.into())));
    leaves.push((path([Key("rng_state")]), Leaf::Value(rng.into())));
    Ok(Model { title: "a generated transformer with Adam state".into(), leaves })
}

/// The names and shapes of the parameters.
fn parameters() -> Vec<(String, Vec<u64>)> {
    let mut parameters = vec![("tok_embeddings.weight".to_owned(), vec![WORDS, WIDTH])];
    for layer in 0..LAYERS {
        let mut add = |name: &str, shape: &[u64]| {
            parameters.push((format!("layers.{layer}.{name}.weight"), shape.to_vec()));
        };
        add("attention_norm", &[WIDTH]);
        for projection in ["wq", "wk", "wv", "wo"] {
            add(&format!("attention.{projection}"), &[WIDTH, WIDTH]);
        }
        add("ffn_norm", &[WIDTH]);
        add("feed_forward.w1", &[HIDDEN, WIDTH]);
        add("feed_forward.w2", &[WIDTH, HIDDEN]);
        add("feed_forward.w3", &[HIDDEN, WIDTH]);
    }
    parameters.push(("norm.weight".to_owned(), vec![WIDTH]));
    parameters.push(("output.weight".to_owned(), vec![WORDS, WIDTH]));
    parameters
}

fn weights(random: &mut Random, shape: &[u64]) -> Result<Leaf, TypesError> {
    let count: u64 = shape.iter().product();
    let scale = 2.0 / (WIDTH as f32).sqrt();
    let element = |_| bf16::from_f32(random.centred() * scale).to_le_bytes();
    tensor(DType::BFloat16, shape, (0..count).flat_map(element).collect())
}

fn moments(random: &mut Random, shape: &[u64], squared: bool) -> Result<Leaf, TypesError> {
    let count: u64 = shape.iter().product();
    let mut element = |_| {
        let moment = random.centred() * 1e-3;
        if squared { (moment * moment).to_le_bytes() } else { moment.to_le_bytes() }
    };
    let mut bytes = Vec::with_capacity(4 * count as usize);
    (0..count).for_each(|number| bytes.extend(element(number)));
    tensor(DType::Float32, shape, bytes)
}

fn tensor(dtype: DType, shape: &[u64], bytes: Vec<u8>) -> Result<Leaf, TypesError> {
    Ok(Leaf::Tensor(Tensor { dtype, shape: Shape::new(shape.iter().copied())?, bytes: Bytes::from(bytes) }))
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Between -0.5 and 0.5.
    fn centred(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u32 << 24) as f32 - 0.5
    }
}
