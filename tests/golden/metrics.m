% The numbers that unrain's metrics must agree with, computed by Octave and its image package, as JSON.
% Colour conversion, windows and filters are theirs; the formulas are written from the papers: Wang et al. 2004 (SSIM),
% Mittal et al. 2012 (BRISQUE) and 2013 (NIQE), imresize from MATLAB's documentation (Octave's does not antialias).
% To run it, see tests/golden_pictures.py. Last run with Octave 7.3.0, image 2.14.0.

1;
pkg load image

function value = psnr_of(x, y)
  value = 10 * log10 (255 ^ 2 / mean ((x(:) - y(:)) .^ 2));
end

function value = ssim_of(x, y)
  window = fspecial ('gaussian', 11, 1.5);
  c1 = (0.01 * 255) ^ 2;
  c2 = (0.03 * 255) ^ 2;
  mx = filter2 (window, x, 'valid');
  my = filter2 (window, y, 'valid');
  vx = filter2 (window, x .^ 2, 'valid') - mx .^ 2;
  vy = filter2 (window, y .^ 2, 'valid') - my .^ 2;
  vxy = filter2 (window, x .* y, 'valid') - mx .* my;
  map = (2 * mx .* my + c1) .* (2 * vxy + c2) ./ ((mx .^ 2 + my .^ 2 + c1) .* (vx + vy + c2));
  value = mean (map(:));
end

function y = cubic(x)
  x = abs (x);
  y = (1.5 * x .^ 3 - 2.5 * x .^ 2 + 1) .* (x <= 1);
  y += (-0.5 * x .^ 3 + 2.5 * x .^ 2 - 4 * x + 2) .* (x > 1 & x <= 2);
end

function small = shrink_rows(plane)
  scale = 0.5;
  count = rows (plane);
  mirror = [1:count, count:-1:1];
  small = zeros (ceil (count * scale), columns (plane));
  for out = 1:rows (small)
    centre = out / scale + 0.5 * (1 - 1 / scale);
    taps = floor (centre - 4):ceil (centre + 4);
    weights = scale * cubic (scale * (centre - taps));
    weights /= sum (weights);
    small(out, :) = weights * plane(mirror(mod (taps - 1, 2 * count) + 1), :);
  end
end

function small = halve(plane)
  small = shrink_rows (shrink_rows (plane)')';
end

function [shape, left, right] = asymmetric_fit(values)
  shapes = 0.2:0.001:10;
  ratios = gamma (2 ./ shapes) .^ 2 ./ (gamma (1 ./ shapes) .* gamma (3 ./ shapes));
  left = sqrt (mean (values(values < 0) .^ 2));
  right = sqrt (mean (values(values > 0) .^ 2));
  skew = left / right;
  wanted = mean (abs (values)) ^ 2 / mean (values .^ 2) * (skew ^ 3 + 1) * (skew + 1) / (skew ^ 2 + 1) ^ 2;
  [~, nearest] = min ((ratios - wanted) .^ 2);
  shape = shapes(nearest);
end

function features = brisque_of(plane)
  window = fspecial ('gaussian', 7, 7 / 6);
  shapes = 0.2:0.001:10;
  ratios = gamma (1 ./ shapes) .* gamma (3 ./ shapes) ./ gamma (2 ./ shapes) .^ 2;
  features = [];
  for scale = 1:2
    mu = filter2 (window, plane, 'same');
    sigma = sqrt (abs (filter2 (window, plane .^ 2, 'same') - mu .^ 2));
    normal = (plane - mu) ./ (sigma + 1);
    [~, nearest] = min (abs (mean (normal(:) .^ 2) / mean (abs (normal(:))) ^ 2 - ratios));
    features = [features, shapes(nearest), mean(normal(:) .^ 2)];
    for shift = [0, 1; 1, 0; 1, 1; -1, 1]'
      pair = normal .* circshift (normal, shift');
      [shape, left, right] = asymmetric_fit (pair(:));
      middle = (right - left) * gamma (2 / shape) / gamma (1 / shape) * sqrt (gamma (1 / shape) / gamma (3 / shape));
      features = [features, shape, middle, left ^ 2, right ^ 2];
    end
    plane = halve (plane);
  end
end

function features = niqe_of_block(normal)
  [shape, left, right] = asymmetric_fit (normal(:));
  narrowing = sqrt (gamma (1 / shape) / gamma (3 / shape));
  features = [shape, (left + right) / 2 * narrowing];
  for shift = [0, 1; 1, 0; 1, 1; 1, -1]'
    pair = normal .* circshift (normal, shift');
    [shape, left, right] = asymmetric_fit (pair(:));
    narrowing = sqrt (gamma (1 / shape) / gamma (3 / shape));
    left *= narrowing;
    right *= narrowing;
    features = [features, shape, (right - left) * gamma(2 / shape) / gamma(1 / shape), left, right];
  end
end

function [features, sharpness] = niqe_of(plane)
  window = fspecial ('gaussian', 7, 7 / 6);
  blocks = floor (size (plane) / 96);
  plane = plane(1:96 * blocks(1), 1:96 * blocks(2));
  features = [];
  for scale = 1:2
    mu = imfilter (plane, window, 'replicate');
    sigma = sqrt (abs (imfilter (plane .^ 2, window, 'replicate') - mu .^ 2));
    normal = (plane - mu) ./ (sigma + 1);
    side = 96 / scale;
    part = [];
    for i = 1:blocks(1)
      for j = 1:blocks(2)
        here = {(i - 1) * side + (1:side), (j - 1) * side + (1:side)};
        part = [part; niqe_of_block(normal(here{:}))];
        if scale == 1
          sharpness((i - 1) * blocks(2) + j) = mean (sigma(here{:})(:));
        end
      end
    end
    features = [features, part];
    plane = halve (plane);
  end
end

folder = argv (){1};
names = {'clean', 'streaks', 'few_levels', 'dark', 'soft'};
truth = imread (fullfile (folder, 'clean.png'));
for i = 1:numel (names)
  picture = imread (fullfile (folder, [names{i}, '.png']));
  number = struct ();
  if i > 1
    number.psnr_rgb = psnr_of (double (picture), double (truth));
    for channel = 1:3
      each(channel) = ssim_of (double (picture(:, :, channel)), double (truth(:, :, channel)));
    end
    number.ssim_rgb = mean (each);
    % Of doubles, as unrain measures, and of 8-bit pictures, where rgb2ycbcr rounds.
    x = 255 * rgb2ycbcr (double (picture) / 255)(:, :, 1);
    y = 255 * rgb2ycbcr (double (truth) / 255)(:, :, 1);
    number.psnr_y = psnr_of (x, y);
    number.ssim_y = ssim_of (x, y);
    x = double (rgb2ycbcr (picture)(:, :, 1));
    y = double (rgb2ycbcr (truth)(:, :, 1));
    number.psnr_y_rounded = psnr_of (x, y);
    number.ssim_y_rounded = ssim_of (x, y);
  end
  plane = double (rgb2gray (picture));
  number.brisque_features = brisque_of (plane);
  [number.niqe_features, number.niqe_sharpness] = niqe_of (plane);
  printf ('%s"%s": %s', {"{\n", ",\n"}{1 + (i > 1)}, names{i}, jsonencode (number));
end
puts ("\n}\n");
