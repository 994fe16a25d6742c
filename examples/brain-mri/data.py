"""One real averaged brain, simulated scanners: the data of the four sites, as NIfTI files with a data list each.

The brain is the MNI152 template that nilearn ships: a T1 image averaged over 152 people, with maps of grey and white
matter. A "subject" is that brain, warped at random; a "scanner" is what a site does to the image. No patient is in it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import Rand3DElastic, RandBiasField, ResizeWithPadOrCrop
from nibabel import Nifti1Image, save
from nilearn import datasets

SUBJECTS = {"training": 4, "validation": 2}  # at each site
NOISE = 0.03

Image = np.ndarray
Scanner = Callable[[Image, Image, int], Image]


def bias(image: Image, head: Image, seed: int) -> Image:
    """Brighter on one side than on the other, by another field for each subject."""
    field = RandBiasField(degree=2, coeff_range=(0.3, 0.5), prob=1.0).set_random_state(seed)
    return np.asarray(field(image[None])[0])


SCANNERS: dict[str, Scanner] = {
    "plain": lambda image, head, seed: image,
    "gamma": lambda image, head, seed: image**2.2,
    "bias": bias,
    "inverted": lambda image, head, seed: (1.0 - image) * head,  # fluid bright, white matter dark, as in T2
}


def load_brain(millimetres: int) -> tuple[Image, Image]:
    """T1 (0 to 1), grey matter, white matter and the brain's mask as four channels, and the affine."""
    maps = [
        getattr(datasets, f"load_mni152_{kind}")(resolution=millimetres)
        for kind in ("template", "gm_template", "wm_template", "brain_mask")
    ]
    shape = [round(size / millimetres / 8) * 8 for size in (192, 240, 192)]
    channels = np.stack([np.asarray(one.dataobj, np.float32) for one in maps])
    fitted = ResizeWithPadOrCrop(shape)(MetaTensor(channels, affine=maps[0].affine))
    return np.asarray(fitted), np.asarray(fitted.affine)


def subject(brain: Image, seed: int) -> tuple[Image, Image, Image]:
    """The brain, warped: image, labels (0 other, 1 grey, 2 white matter), mask of the head."""
    stretch = {"rotate_range": (0.15,) * 3, "scale_range": (0.1,) * 3, "padding_mode": "zeros"}
    warp = Rand3DElastic(sigma_range=(4, 6), magnitude_range=(40, 120), prob=1.0, **stretch).set_random_state(seed)
    image, grey, white, head = np.asarray(warp(torch.as_tensor(brain)))
    labels = np.where((white > 0.5) & (white >= grey), 2, np.where(grey > 0.5, 1, 0)).astype(np.uint8)
    return np.clip(image, 0, 1), labels, head > 0.5


def make_sites(folder: Path, millimetres: int = 3, sites: tuple[str, ...] = tuple(SCANNERS)) -> dict[str, Path]:
    """Write ``folder/SITE/`` with images, labels and dataset.json; the same bits each time. Returns them by site."""
    brain, affine = load_brain(millimetres)
    made = {site: folder / site for site in sites}
    for site, where in made.items():
        where.mkdir(parents=True, exist_ok=True)
        listed: dict[str, list[dict[str, str]]] = {part: [] for part in SUBJECTS}
        parts = [part for part, count in SUBJECTS.items() for _ in range(count)]
        for number, part in enumerate(parts):
            seed = 100 * list(SCANNERS).index(site) + number
            image, labels, head = subject(brain, seed)
            noise = np.random.default_rng(seed).normal(0, NOISE, image.shape)
            image = np.float32(SCANNERS[site](image, head, seed) + noise * head)
            case = {"image": f"subject-{number}.nii.gz", "label": f"subject-{number}-label.nii.gz"}
            save(Nifti1Image(image, affine), where / case["image"])
            save(Nifti1Image(labels, affine), where / case["label"])
            listed[part].append(case)
        about = "one real averaged brain (MNI152), warped, as seen by a simulated scanner"
        (where / "dataset.json").write_text(json.dumps({"description": about, **listed}, indent=2))
    return made


if __name__ == "__main__":
    make_sites(Path(sys.argv[1]))
