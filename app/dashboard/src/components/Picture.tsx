/** A picture of the API. Tiny ones are enlarged without blur, so that every pixel can be judged. */

import { useQuery } from "@tanstack/react-query";
import { type SyntheticEvent, useState } from "react";

import { apiKey, asApiError } from "../api/client";

interface Props {
  url: string;
  alt: string;
  /** Longest side that is asked of the server, in pixels. */
  size: number;
  lazy?: boolean;
}

export function Picture({ url, alt, size, lazy = false }: Props) {
  const source = usePictureSource(`${url}${url.includes("?") ? "&" : "?"}size=${size}`);
  const [state, setState] = useState<"loading" | "sharp" | "smooth" | "broken">("loading");
  const judge = ({ currentTarget: image }: SyntheticEvent<HTMLImageElement>) => {
    setState(image.naturalWidth < image.clientWidth * window.devicePixelRatio ? "sharp" : "smooth");
  };
  if (source === null || state === "broken") {
    return <span className="picture broken">{alt}: no picture</span>;
  }
  return (
    <span className={`picture ${state}`}>
      {source ? (
        <img
          src={source}
          alt={alt}
          loading={lazy ? "lazy" : "eager"}
          decoding="async"
          draggable={false}
          onLoad={judge}
          onError={() => {
            setState("broken");
          }}
        />
      ) : null}
    </span>
  );
}

/** An <img> cannot send a key, so with one the bytes are fetched. Null when they could not be. */
function usePictureSource(url: string): string | null | undefined {
  const keyed = apiKey.get() !== null;
  const { data, isError } = useQuery({
    queryKey: ["picture", url],
    queryFn: () => fetchAsDataUrl(url),
    enabled: keyed,
    staleTime: Infinity,
  });
  if (!keyed) return url;
  return isError ? null : data;
}

async function fetchAsDataUrl(url: string): Promise<string> {
  const response = await fetch(url, { headers: apiKey.headers() });
  if (!response.ok) throw await asApiError(response);
  const blob = await response.blob();
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => {
      resolve(reader.result as string);
    };
    reader.onerror = () => {
      reject(reader.error ?? new Error("The picture could not be read."));
    };
    reader.readAsDataURL(blob);
  });
}
