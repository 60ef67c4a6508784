//! A trainer saves itself, and another one goes on from there.

use dcp::{Loaded, StateDict, StateTarget, Stateful, StatefulError, TargetLeaf, value, whole, whole_mut};
use ndarray::{Array1, Array2};

struct Trainer {
    weight: Array2<f32>,
    bias: Array1<f32>,
    step: u64,
}

impl Trainer {
    fn new() -> Self {
        Self { weight: Array2::zeros((256, 64)), bias: Array1::zeros(64), step: 0 }
    }

    fn train(&mut self) {
        self.weight += 0.5;
        self.bias -= 0.25;
        self.step += 1;
    }
}

impl Stateful for Trainer {
    /// What is saved: tensors, which are borrowed, and values.
    fn state_dict(&self) -> Result<StateDict<'_>, StatefulError> {
        let model = StateDict::new().with("weight", whole(&self.weight)?).with("bias", whole(&self.bias)?);
        Ok(StateDict::new().with("model", model).with("step", self.step))
    }

    /// What is loaded: straight into the tensors.
    fn state_target(&mut self) -> Result<StateTarget<'_>, StatefulError> {
        let model =
            StateTarget::new().with("weight", whole_mut(&mut self.weight)?).with("bias", whole_mut(&mut self.bias)?);
        Ok(StateTarget::new().with("model", model).with("step", TargetLeaf::Value))
    }

    /// What remains to be done when the tensors are there.
    fn load_state_dict(&mut self, mut loaded: Loaded) -> Result<(), StatefulError> {
        self.step = value(&mut loaded, "step")?;
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let place = directory.path().join("step-3");

    let mut trainer = Trainer::new();
    (0..3).for_each(|_| trainer.train());
    let report = dcp::save(&trainer, &place)?;
    println!("saved {} bytes in {} file(s)", report.total().data, report.total().files);

    let mut resumed = Trainer::new();
    let report = dcp::load(&mut resumed, &place)?;
    println!("loaded {} bytes, {} of them verified", report.total().needed, report.total().verified);

    assert_eq!((resumed.step, resumed.weight), (3, trainer.weight));
    println!("going on from step {}", resumed.step);
    Ok(())
}
