from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from marrowmap.data.errors import GeometryError
from marrowmap.inference.report.encode import palette_png, tissue_top, window_to_bytes
from marrowmap.inference.report.pictures import CERTAIN, EQUIVOCAL, PALETTE, ReportImages, draw_pictures
from marrowmap.inference.report.pictures_rotation import rotated_views
from marrowmap.inference.report.slices import (
    crop_to_body,
    draw_sprites,
    lesion_runs,
    markers_of,
    to_display,
)


def cube(shape: tuple[int, int, int], *voxels: tuple[int, int, int]) -> np.ndarray:
    labels = np.zeros(shape, dtype=np.uint8)
    for number, voxel in enumerate(voxels, start=1):
        labels[voxel] = number
    return labels


def test_the_patients_right_is_on_the_left_and_the_head_is_up() -> None:
    shown = to_display(cube((4, 5, 6), (3, 4, 5)))  # the right-most, front-most, top-most voxel
    assert shown.shape == (5, 6, 4)
    assert shown[0, 0, 0] == 1


def test_a_marker_is_where_the_lesion_is_shown() -> None:
    markers = markers_of(cube((4, 5, 6), (3, 4, 5), (0, 0, 0)))
    assert markers[1].place == (0, 0, 0)
    assert markers[2].place == (4, 5, 3)
    assert markers[1].radius == 0.5


def test_a_marker_lies_in_the_largest_section() -> None:
    labels = np.zeros((9, 9, 9), dtype=np.uint8)
    labels[4, 2:7, 4] = 1
    labels[3:6, 5, 3:6] = 1  # the broad section is five voxels from the back, three from the front
    assert markers_of(labels)[1].place == (3, 4, 4)


def test_no_lesion_gives_no_marker() -> None:
    assert markers_of(np.zeros((4, 4, 4), dtype=np.uint16)) == {}


def test_the_crop_keeps_a_lesion_outside_the_body() -> None:
    volume = np.zeros((40, 40, 40), dtype=np.float32)
    volume[10:20, 10:20, 10:20] = 100
    i, _, k = crop_to_body(volume, cube((40, 40, 40), (35, 15, 15)))
    assert (i.start, i.stop) == (6, 40)
    assert k.stop < 30


def test_a_palette_picture_reads_back_with_its_colours() -> None:
    picture = Image.open(io.BytesIO(palette_png(np.array([[0, 1], [2, 3]], dtype=np.uint8), PALETTE)))
    colours = np.asarray(picture.convert("RGBA"))
    assert colours[0, 0, 3] == 0
    assert tuple(colours[0, 1]) == PALETTE[CERTAIN]
    assert tuple(colours[1, 0]) == PALETTE[EQUIVOCAL]


def test_a_window_shows_zero_as_black_or_as_white() -> None:
    volume = np.array([0.0, 50.0, 100.0])
    assert list(window_to_bytes(volume, 100.0)) == [0, 127, 255]
    assert list(window_to_bytes(volume, 100.0, inverted=True)) == [255, 127, 0]
    assert list(window_to_bytes(volume, 50.0)) == [0, 255, 255]


def test_an_empty_or_unfinished_volume_still_gives_a_picture() -> None:
    assert tissue_top(np.zeros((2, 2)), 99.0) == 1.0
    assert window_to_bytes(np.array([np.nan, 1.0]), 1.0).tolist() == [0, 255]


def test_the_window_looks_at_tissue_only() -> None:
    volume = np.array([0.0] * 1000 + [80.0, 100.0])  # a thousand voxels of air
    assert tissue_top(volume, 50.0) == 90.0


def test_a_tile_of_the_sprite_is_one_coronal_slice() -> None:
    volume = cube((5, 3, 6), (0, 2, 5)).astype(np.float32)  # shown in the first slice, top right
    sprites = draw_sprites({"T1": volume}, np.zeros((5, 3, 6), dtype=np.uint16), (2.0, 3.0, 4.0))
    assert sprites.shape == (3, 6, 5)
    assert sprites.tile == (8, 8)
    assert sprites.spacing_mm == (3.0, 4.0, 2.0)
    grey = np.asarray(Image.open(io.BytesIO(sprites.grey["T1"])))
    assert np.unravel_index(grey.argmax(), grey.shape) == (0, 4)


def test_the_voxels_of_a_lesion_are_told_as_runs() -> None:
    labels = np.zeros((1, 2, 4), dtype=np.uint16)
    labels[0, 0, 1:4] = 7
    labels[0, 1] = [7, 0, 3, 7]
    assert lesion_runs(labels) == {3: [6, 1], 7: [1, 4, 2, 1]}


def test_the_adc_keeps_its_unit_and_diffusion_is_inverted(images: ReportImages) -> None:
    adc = np.full(images.dwi_high.shape, 750.0, dtype=np.float32)
    windows = draw_pictures(replace(images, adc=adc), {}).sprites.windows
    assert list(windows) == ["T1", "STIR", "DWI", "ADC"]
    assert (windows["ADC"].coded, windows["ADC"].shown, windows["ADC"].unit) == (3000.0, 2000.0, "um2/s")
    assert [window.is_inverted for window in windows.values()] == [False, False, True, False]
    assert windows["DWI"].shown < windows["DWI"].coded


def test_the_first_view_is_from_the_front_and_the_middle_one_from_the_left() -> None:
    grey = np.zeros((5, 9, 3), dtype=np.uint8)
    grey[4, 4, 2] = 200  # far to the patient's right, at the top
    grey[2, 8, 0] = 100  # far to the front, at the foot
    views = rotated_views(grey, (2.0, 2.0, 2.0), views=4)
    middle = views.shape[2] // 2
    assert np.argwhere(views[0] == 200).tolist() == [[0, middle - 2]]  # right is on the left
    assert np.argwhere(views[0] == 100).tolist() == [[2, middle]]
    assert np.argwhere(views[2] == 200).tolist() == [[0, middle]]
    assert np.argwhere(views[2] == 100).tolist() == [[2, middle - 4]]  # the front is on the left


def test_the_views_of_an_empty_volume_are_empty() -> None:
    assert not rotated_views(np.zeros((4, 4, 4), dtype=np.uint8), (1.0, 1.0, 1.0)).any()


def test_each_sequence_that_is_there_has_its_slices(images: ReportImages) -> None:
    pictures = draw_pictures(images, {1: CERTAIN})
    assert list(pictures.sprites.grey) == ["T1", "STIR", "DWI"]
    assert list(draw_pictures(replace(images, t1=None), {}).sprites.grey) == ["STIR", "DWI"]


def test_the_projection_is_dark_where_diffusion_is_bright(images: ReportImages) -> None:
    coronal = draw_pictures(images, {}).coronal.grey
    assert np.median(coronal) > 150
    assert coronal.min() < 10


def test_the_outline_of_a_surer_lesion_is_drawn_on_top(images: ReportImages) -> None:
    drawn = set(np.unique(draw_pictures(images, {1: CERTAIN, 3: EQUIVOCAL}).coronal.outline))
    assert drawn == {0, CERTAIN, EQUIVOCAL}


def test_mip_png_shows_both_projections(images: ReportImages) -> None:
    pictures = draw_pictures(images, {})
    width, _ = Image.open(io.BytesIO(pictures.mip_png)).size
    assert width > pictures.coronal.grey.shape[1] + pictures.sagittal.grey.shape[1]


def test_volumes_on_two_grids_are_refused(images: ReportImages) -> None:
    with pytest.raises(GeometryError, match=r"stir has shape \(2, 2, 2\), diffusion \(100, 60, 200\)"):
        replace(images, stir=np.zeros((2, 2, 2), dtype=np.float32))
