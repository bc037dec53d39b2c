"""The original system in small functions: what the benchmarks measure against.

Written from the original's description (`docs/original-system.md` and `traps.md` of the project), never from its code:
per image decode, pad, resize, normalise and one scipy dilation per landmark, again in every epoch, in no worker;
a U-Net in fp32 with channels first; prediction image by image. What it gets wrong without losing time by it (16-bit
files, blank cells) is left out. OpenCV and torch use all cores here as there.
"""

import argparse

import cv2
import numpy as np
import segmentation_models_pytorch as smp
import torch
from scipy.ndimage import binary_dilation
from torch import nn
from torch.utils.data import DataLoader, Dataset

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


# --- one image

def padding(width, height):
    "Left and top border that centre an image on the square of its longer side, and that side."
    side = max(width, height)
    return (side - width) // 2, (side - height) // 2, side


def read_square(path, size):
    "The image at `path` as RGB (size, size, 3), uint8: decoded, padded with black, resized linearly."
    image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    height, width = image.shape[:2]
    left, top, side = padding(width, height)
    square = cv2.copyMakeBorder(image, top, side - height - top, left, side - width - left, cv2.BORDER_CONSTANT)
    return cv2.resize(square, (size, size), interpolation=cv2.INTER_LINEAR)


def place(points, width, height, size):
    "`points` (N, 2) of an image of `width` x `height`, on its square of side `size`; no half-pixel rule."
    left, top, side = padding(width, height)
    return (np.asarray(points) + (left, top)) * (size / side)


def normalise(image, mean=MEAN, std=STD):
    "`image` (S, S, 3) uint8 as float32 of mean 0 and deviation 1, in the way of albumentations."
    image = image.astype(np.float32)
    image -= np.float32(mean) * 255
    image *= 1 / (np.float32(std) * 255)
    return image


def draw_mask(point, radius, size):
    "Mask (size, size), float32, of a pixel that was dilated `radius` times by a cross; empty outside the square."
    mask, (x, y) = np.zeros((size, size), np.uint8), (int(value) for value in point)
    if 0 <= x < size and 0 <= y < size: mask[y, x] = 1
    return binary_dilation(mask, iterations=radius).astype(np.float32)


def to_tensor(image):
    "`image` (S, S, 3) as a tensor (3, S, S)."
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


# --- data

class Images(Dataset):
    "Image (3, S, S) and masks (N, S, S) of `rows`, pairs of a path and its points (N, 2) in px of the file."

    def __init__(self, rows, image_size, size, radius):
        self.rows, self.image_size, self.size, self.radius = rows, image_size, size, radius

    def __len__(self): return len(self.rows)

    def __getitem__(self, i):
        path, points = self.rows[i]
        image = normalise(read_square(path, self.size))
        masks = [draw_mask(point, self.radius, self.size) for point in place(points, *self.image_size, self.size)]
        return to_tensor(image), torch.from_numpy(np.stack(masks))


def make_loader(rows, image_size, size, radius=65, batch_size=8):
    "Shuffled batches of `rows`, whose files are all of `image_size` (width, height), without workers."
    return DataLoader(Images(rows, image_size, size, radius), batch_size, shuffle=True, num_workers=0)


# --- training

def make_model(encoder_name, n_landmarks, state=None):
    "The U-Net, with the weights `state` where they are given."
    model = smp.Unet(encoder_name, encoder_weights=None, classes=n_landmarks)
    if state is not None: model.load_state_dict(state)
    return model


def positive_weight(size, radius):
    "Background pixels per pixel of a diamond."
    n = 1 + 2 * radius * (radius + 1)
    return torch.tensor((size ** 2 - n) / n)


def make_step(encoder_name, images, masks, radius):
    "A function that takes one training step on a batch in memory, and returns the loss."
    model = make_model(encoder_name, masks.shape[1]).train()
    loss_func = nn.BCEWithLogitsLoss(pos_weight=positive_weight(masks.shape[-1], radius))
    opt = torch.optim.Adam(model.parameters(), lr=1e-4)

    def step():
        opt.zero_grad()
        loss = loss_func(model(images), masks)
        loss.backward()
        opt.step()
        return loss.item()
    return step


# --- prediction

def find_points(logits, activation=torch.sigmoid):
    "The (x, y) of the largest probability of each of `logits` (N, S, S), landmark by landmark."
    points = []
    for channel in activation(logits).numpy():
        y, x = np.unravel_index(np.argmax(channel), channel.shape)
        points.append((x, y))
    return np.array(points, float)


@torch.no_grad()
def predict(model, square, mean=MEAN, std=STD, activation=torch.sigmoid):
    "Points (N, 2) in network px that `model`, in eval mode, finds on `square` (S, S, 3), a batch of its own."
    return find_points(model(to_tensor(normalise(square, mean, std))[None])[0], activation)


# --- command line

def main():
    "Its entry point as far as `--help` goes: everything is imported before arguments are looked at."
    parser = argparse.ArgumentParser(description='Train a landmark detector')
    for flag, default in dict(train_image_dir='./data/train_images', label_dir='./data/labels', n_landmarks=2,
                              train_csv_file='train_annotation.csv', image_resize=512, batch_size=8, epochs=350,
                              dilation_iters=65, erosion_freq=50, erosion_iters=10, seed=42).items():
        parser.add_argument(f'--{flag}', type=type(default), default=default)
    parser.add_argument('--gif', action='store_true')
    return parser.parse_args()


if __name__ == '__main__': main()
